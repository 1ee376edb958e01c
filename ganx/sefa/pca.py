"""Principal components of a stream: one pass for mean and covariance, then one eigen-decomposition.

Where features are too many for a covariance, the samples' own Gram matrix takes its place, and where these are too many
as well, the stream is passed over until the first components stand still (block subspace iteration).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse.linalg import eigsh

from ganx.errors import GanxError
from ganx.metrics.moments import add, finish, start

DENSE = 1024  # up to this size all eigenvectors are found; of larger matrices the first few, by Lanczos' method
LARGEST = 8192
"""Most features (or samples, if they are fewer) that a covariance is formed of: 256 MB."""

STILL = 1e-2  # |C v - λ v| of a component over its λ, at which it stands still
_PASSES = 60
_HIGHEST = jax.lax.Precision.HIGHEST


class Components(NamedTuple):
    """Principal components, the most variance first.

    Fields:
      mean: float64 `[d]`.
      vectors: float32 `[k, d]`, orthonormal, the entry of largest magnitude positive.
      deviations: float64 `[k]`, standard deviation of the data along each.
      explained: float64 `[k]`, share of the whole variance.
    """

    mean: np.ndarray
    vectors: np.ndarray
    deviations: np.ndarray
    explained: np.ndarray


def principal_components(batches: Callable[[], Iterable[jax.Array]], k: int) -> Components:
    """The first `k` principal components of what `batches()` yields, `[n, d]` each, all of one shape.

    Equal to PCA of all rows at once, to rounding. Where there are more than `LARGEST` of both rows and columns, the
    components are those of PCA to within `STILL`: `batches` is then called once for each pass, and must yield the same.

    Raises:
      GanxError: fewer than two rows, more components than the data have, or components that do not stand still.
    """
    stream = iter(batches())
    first = next(stream, None)
    if first is None:
        raise GanxError("principal components need two samples or more, not 0")
    rows = _chain(first, stream)
    if first.shape[1] > LARGEST:
        few = _keep(rows)
        return _by_passes(batches, k) if few is None else _of_few(few, k)
    sums = start(first.mean(0))
    for batch in rows:
        sums = add(sums, batch, np.ones(len(batch), bool))
    found = finish(sums)
    _check(k, min(found.count - 1, len(found.mean)))
    values, vectors = _largest(found.covariance, k)
    return _components(found.mean, values, vectors, np.trace(found.covariance))


def _keep(rows: Iterable[jax.Array]) -> np.ndarray | None:
    """All rows on the host; None if they are more than `LARGEST`."""
    kept: list[np.ndarray] = []
    for batch in rows:
        kept.append(np.asarray(batch, np.float32))
        if sum(map(len, kept)) > LARGEST:
            return None
    return np.concatenate(kept)


def _of_few(x: np.ndarray, k: int) -> Components:
    """Components of fewer samples than features."""
    _check(k, min(len(x) - 1, x.shape[1]))
    mean = x.mean(0, dtype=np.float64)
    x = x - mean.astype(np.float32)
    gram = (x @ x.T).astype(np.float64) / (len(x) - 1)
    values, left = _largest(gram, k)
    vectors = left @ x
    return _components(mean, values, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.trace(gram))


def _by_passes(batches: Callable[[], Iterable[jax.Array]], k: int) -> Components:
    """Components of many wide samples: a block of directions is multiplied by the covariance, pass after pass.

    The block is wider than what is asked for, since a component's error falls by λ_block / λ_component in each pass.
    """
    count, mean, total = _spread(batches())
    _check(k, min(count - 1, len(mean)))
    width = min(2 * k + 16, len(mean))
    block = np.linalg.qr(np.random.default_rng(0).normal(size=(len(mean), width)))[0]
    shift = jnp.asarray(mean, jnp.float32)
    for _ in range(_PASSES):
        moved = np.zeros_like(block)
        for batch in batches():
            moved += np.asarray(_multiply(batch, shift, jnp.asarray(block, jnp.float32)), np.float64)
        moved /= count - 1
        values, turn = np.linalg.eigh(block.T @ moved)
        values, turn = values[::-1][:k], turn[:, ::-1][:, :k]
        vectors = block @ turn
        if (np.linalg.norm(moved @ turn - vectors * values, axis=0) <= STILL * values).all():
            return _components(mean, values, vectors.T, total)
        block = np.linalg.qr(moved)[0]
    raise GanxError(f"{k} components do not stand still in {_PASSES} passes; ask for fewer, or of fewer samples")


def _spread(rows: Iterable[jax.Array]) -> tuple[int, np.ndarray, float]:
    """Number of rows, their mean float64 `[d]`, and their whole variance."""
    stream = iter(rows)
    first = next(stream)
    shift, count = first.mean(0), 0
    sums, squares = np.zeros(first.shape[1]), np.zeros(first.shape[1])
    for batch in _chain(first, stream):
        more = _sums(batch, shift)
        count, sums, squares = count + len(batch), sums + np.asarray(more[0]), squares + np.asarray(more[1])
    variance = (squares - sums**2 / count) / (count - 1)
    return count, np.asarray(shift, np.float64) + sums / count, float(variance.sum())


@jax.jit
def _sums(batch: jax.Array, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
    x = batch.astype(jnp.float32) - shift
    return x.sum(0), jnp.square(x).sum(0)


@jax.jit
def _multiply(batch: jax.Array, mean: jax.Array, block: jax.Array) -> jax.Array:
    """A batch's part of scatter times block, float32 `[d, width]`."""
    x = batch.astype(jnp.float32) - mean
    return jnp.matmul(x.T, jnp.matmul(x, block, precision=_HIGHEST), precision=_HIGHEST)


def _largest(matrix: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues `[k]`, decreasing, and eigenvectors `[k, d]` of a symmetric matrix."""
    if len(matrix) <= DENSE or 2 * k >= len(matrix):
        values, columns = np.linalg.eigh(matrix)
    else:
        values, columns = eigsh(matrix, k, v0=np.ones(len(matrix)))
    return values[::-1][:k], columns[:, ::-1][:, :k].T


def _components(mean: np.ndarray, values: np.ndarray, vectors: np.ndarray, total: float) -> Components:
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1)
    vectors = (vectors * np.where(largest < 0, -1, 1)).astype(np.float32)
    values = np.maximum(values, 0)
    return Components(mean, vectors, np.sqrt(values), values / (total or 1.0))


def _chain(first: jax.Array, rest: Iterator[jax.Array]) -> Iterator[jax.Array]:
    yield first
    yield from rest


def _check(k: int, most: int) -> None:
    if not 1 <= k <= most:
        raise GanxError(f"asked for {k} components; these samples have {most}; ask for fewer or draw more")
