"""Eigenvectors of AᵀA for many stacks of rows at once, in one program."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ganx.gan import Gan
from ganx.sefa.weights import layer_weights

_HIGHEST = jax.lax.Precision.HIGHEST
_BLOCKS, _BLOCKED = 4, 256  # a Gram matrix of at least this size is made by its upper blocks only

Ranges = tuple[tuple[int, ...], ...]
Rows = list[jax.Array]


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def decompose(
    source: Gan | Rows, include_torgb: str, ranges: Ranges, row_normalize: bool, full: bool
) -> list[tuple[jax.Array, jax.Array]]:
    """For each range of layers its eigenvalues float32 `[s]`, decreasing, and eigenvectors `[s, d]`.

    Args:
      source: a generator, or the rows `[m, d]` of each layer.
      ranges: layers whose rows are stacked.
      full: s is d for every range. Otherwise ranges with few rows are solved by their rows' own Gram matrix, and s
        is the number of rows, rounded up to a power of two; what is past the rank is of no meaning.
    """
    rows = list(layer_weights(source, include_torgb).values()) if isinstance(source, Gan) else source
    columns = [_unit(layer.T) if row_normalize else layer.T.astype(jnp.float32) for layer in rows]
    d = len(columns[0])
    heights = [sum(columns[i].shape[1] for i in layers) for layers in ranges]
    sizes = [d if full or 2 * height > d else _power_of_two(height) for height in heights]
    found: dict[int, tuple[jax.Array, jax.Array]] = {}
    for size in sorted(set(sizes)):
        members = [i for i, own in enumerate(sizes) if own == size]
        solve = _wide if size == d else functools.partial(_narrow, size=size)
        values, vectors = solve(columns, [ranges[i] for i in members])
        found |= {i: (values[n], vectors[n]) for n, i in enumerate(members)}
    return [found[i] for i in range(len(ranges))]


def signed(vectors: jax.Array) -> jax.Array:
    """`[..., k, d]` with the entry of largest magnitude of each row positive (the first of equals)."""
    largest = jnp.take_along_axis(vectors, jnp.abs(vectors).argmax(-1)[..., None], -1)
    return vectors * jnp.where(largest < 0, -1.0, 1.0)


# Below, `columns` holds Aᵀ of each layer, `[d, m]`: dense layers store it so, and products along it are faster.


def _unit(columns: jax.Array) -> jax.Array:
    columns = columns.astype(jnp.float32)
    norms = jnp.linalg.norm(columns, axis=0, keepdims=True)
    return columns / jnp.where(norms == 0, 1.0, norms)


def _wide(columns: Rows, ranges: Sequence[tuple[int, ...]]) -> tuple[jax.Array, jax.Array]:
    """All d eigenpairs of each range: the Gram matrix of a range is the sum of its layers' own."""
    if len(ranges) == 1:
        grams = _gram(jnp.concatenate([columns[i] for i in ranges[0]], 1))[None]
    else:
        used = sorted({i for layers in ranges for i in layers})
        masks = jnp.array([[float(i in layers) for i in used] for layers in ranges])
        grams = jnp.einsum("rl,lij->rij", masks, jnp.stack([_gram(columns[i]) for i in used]), precision=_HIGHEST)
    values, vectors = _eigh(grams)
    return values, signed(jnp.swapaxes(vectors, -1, -2))


def _narrow(columns: Rows, ranges: Sequence[tuple[int, ...]], size: int) -> tuple[jax.Array, jax.Array]:
    """The same for ranges of at most `size` rows: A Aᵀ has the same eigenvalues, and Aᵀ brings its vectors back."""
    stacks = [jnp.concatenate([columns[i] for i in layers], 1) for layers in ranges]
    a = jnp.stack([jnp.pad(stack, ((0, 0), (0, size - stack.shape[1]))) for stack in stacks])
    values, vectors = _eigh(jnp.einsum("rdi,rdj->rij", a, a, precision=_HIGHEST))
    back = jnp.einsum("rdi,rij->rdj", a, vectors, precision=_HIGHEST)
    back = back / jnp.maximum(jnp.linalg.norm(back, axis=1, keepdims=True), 1e-30)
    # The strongest first: each is made orthogonal to those before it, which rounding disturbs least.
    return values, signed(jnp.swapaxes(jnp.linalg.qr(back)[0], -1, -2))


def _gram(columns: jax.Array) -> jax.Array:
    """AᵀA, its lower blocks copied from the upper ones."""
    d = len(columns)
    if d < _BLOCKED or d % _BLOCKS:
        return jnp.matmul(columns, columns.T, precision=_HIGHEST)
    parts = jnp.split(columns, _BLOCKS)
    upper = {
        (i, j): jnp.matmul(parts[i], parts[j].T, precision=_HIGHEST) for i in range(_BLOCKS) for j in range(i, _BLOCKS)
    }
    block = lambda i, j: upper[i, j] if i <= j else upper[j, i].T  # noqa: E731
    return jnp.block([[block(i, j) for j in range(_BLOCKS)] for i in range(_BLOCKS)])


def _eigh(grams: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues, decreasing, and eigenvectors as columns."""
    values, columns = jnp.linalg.eigh(jax.lax.stop_gradient(grams), symmetrize_input=False)
    return values[..., ::-1], columns[..., ::-1]


def _power_of_two(n: int) -> int:
    return 1 << max(n - 1, 0).bit_length()
