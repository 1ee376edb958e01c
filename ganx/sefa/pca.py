"""Principal components of a stream, exact: one pass for mean and covariance, then one eigen-decomposition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from scipy.sparse.linalg import eigsh

from ganx.errors import GanxError
from ganx.metrics.moments import add, finish, start

DENSE = 1024  # up to this size all eigenvectors are found; of larger matrices the first few, by Lanczos' method
LARGEST = 8192
"""Most features (or samples, if they are fewer) that a covariance is formed of: 256 MB."""


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

    Equal to PCA of all rows at once. Where rows are wider than `LARGEST`, they are kept and their `[rows, rows]` Gram
    matrix is decomposed instead.

    Raises:
      GanxError: fewer than two rows, more components than the data have, or both sides too large.
    """
    stream = iter(batches())
    first = next(stream, None)
    if first is None:
        raise GanxError("principal components need two samples or more, not 0")
    rows = _chain(first, stream)
    if first.shape[1] > LARGEST:
        return _of_few(rows, k)
    sums = start(first.mean(0))
    for batch in rows:
        sums = add(sums, batch, np.ones(len(batch), bool))
    found = finish(sums)
    _check(k, min(found.count - 1, len(found.mean)))
    values, vectors = _largest(found.covariance, k)
    return _components(found.mean, values, vectors, np.trace(found.covariance))


def _of_few(rows: Iterable[jax.Array], k: int) -> Components:
    """Components of fewer samples than features, kept on the host."""
    kept: list[np.ndarray] = []
    for batch in rows:
        kept.append(np.asarray(batch, np.float32))
        if sum(map(len, kept)) > LARGEST:
            raise GanxError(
                f"{kept[0].shape[1]} features of more than {LARGEST} samples are too many; take fewer samples, "
                "or a stage with fewer features"
            )
    x = np.concatenate(kept)
    _check(k, min(len(x) - 1, x.shape[1]))
    mean = x.mean(0, dtype=np.float64)
    x = x - mean.astype(np.float32)
    gram = (x @ x.T).astype(np.float64) / (len(x) - 1)
    values, left = _largest(gram, k)
    vectors = left @ x
    return _components(mean, values, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.trace(gram))


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
