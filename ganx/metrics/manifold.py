"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), in bounded memory.

A ball around each point reaches to its k-th nearest other point of the same set. Distances are float32, of features
centred first; two that agree to rounding count as equal, so that ties (copies, a set against itself) come out the same
whatever the block size, backend or number of devices.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ganx.errors import GanxError
from ganx.metrics.blocks import Block, Pairs, paired

_HIGHEST = jax.lax.Precision.HIGHEST
_TIE = 4 * float(np.finfo(np.float32).eps)


@dataclasses.dataclass(frozen=True)
class Manifold:
    """Shares in [0, 1]; density may exceed 1. `k` is the neighbour that the balls reach to."""

    precision: float
    recall: float
    density: float
    coverage: float
    k: int


def manifold(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    k: int = 3,
    strict: bool = False,
    exact: bool = False,
    block: int = 2048,
    mesh: Mesh | None = None,
) -> Manifold:
    """All four measures at once.

    Args:
      real, fake: features `[n, d]` and `[m, d]`.
      k: which neighbour; 3 is usual for precision and recall, 5 for density and coverage.
      strict: whether precision and recall ask for < rather than <= (density and coverage always do, as prdc).
      exact: take differences before squaring: slower, for sets with near-copies far from the rest.
      block: rows and columns taken at a time: the memory used, not the result.
      mesh: devices over which rows are shared.

    Raises:
      GanxError: fewer than k + 1 samples, or widths that differ.
    """
    if real.shape[1:] != fake.shape[1:]:
        raise GanxError(
            f"features are {real.shape[1:]} and {fake.shape[1:]} wide; take both from one network and layer"
        )
    if not 1 <= k < min(len(real), len(fake)):
        raise GanxError(f"the {k}-th neighbour needs {k + 1} images on both sides; lower k or give more")
    centre = real.mean(0, dtype=np.float64).astype(np.float32)
    real, fake = np.asarray(real, np.float32) - centre, np.asarray(fake, np.float32) - centre
    in_real, in_fake = (radii(x, k, block=block, mesh=mesh, exact=exact) for x in (real, fake))
    fakes, reals = _balls(fake, in_fake, real, in_real, block, mesh, exact)
    choose = 1 if strict else 0
    return Manifold(
        precision=float(fakes[:, choose].mean()),
        recall=float((reals[:, choose] > 0).mean()),
        density=float(reals[:, 2].sum(dtype=np.int64) / (k * len(fake))),
        coverage=float((reals[:, 2] > 0).mean()),
        k=k,
    )


def radii(x: np.ndarray, k: int, *, block: int = 2048, mesh: Mesh | None = None, exact: bool = False) -> np.ndarray:
    """Squared distance from each row of `x` `[n, d]` to its k-th nearest other row, float32 `[n]`."""
    pairs = Pairs(x, known=(_norms(x), None), block=block, mesh=mesh)

    def none_yet(n: int) -> jax.Array:
        return jnp.full((n, k), jnp.inf)

    later, earlier = pairs.fold(functools.partial(_nearest, k, pairs.devices, exact), none_yet, none_yet)
    return np.partition(np.concatenate([later, earlier], 1), k - 1, axis=1)[:, k - 1]


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=(3, 4))
def _nearest(
    k: int,
    devices: int,
    exact: bool,
    of_rows: jax.Array,
    of_columns: jax.Array,
    rows: Block,
    columns: Block,
) -> tuple[jax.Array, jax.Array]:
    """The `k` smallest squared distances so far of every row and of every column, `[n, k]` each, ascending."""
    apart = jnp.where(paired(rows, columns, True), _squares(rows, columns, exact), jnp.inf)
    # a column's distances lie on all devices: each finds the nearest of its own first, and only those travel
    own = _smallest(apart.T.reshape(apart.shape[1], devices, -1), k)
    of_rows, of_columns = (
        _smallest(jnp.concatenate([best, new], 1), k)
        for best, new in ((of_rows, _smallest(apart, k)), (of_columns, own.reshape(len(own), -1)))
    )
    return of_rows, of_columns


def _smallest(x: jax.Array, k: int) -> jax.Array:
    """The `k` smallest along the last axis, or all there are, ascending."""
    return -jax.lax.top_k(-x, min(k, x.shape[-1]))[0]


def _norms(x: np.ndarray) -> np.ndarray:
    """Squared lengths of rows, `[n, 1]`, on the host: in one program with the products XLA:CPU takes twice the time."""
    return np.einsum("nd,nd->n", x, x, dtype=np.float64)[:, None]


def _squares(x: Block, y: Block, exact: bool) -> jax.Array:
    """Squared distances `[n, m]`, never below 0; the squared length of each is the first thing known of it."""
    if exact:
        return jax.lax.map(lambda row: jnp.square(row - y.features).sum(1), x.features)
    product = jnp.matmul(x.features, y.features.T, precision=_HIGHEST)
    return jnp.maximum(_sizes(x, y) - 2.0 * product, 0.0)


def _sizes(x: Block, y: Block) -> jax.Array:
    """Sums of squared lengths, `[n, m]`."""
    return x.known[:, 0][:, None] + y.known[:, 0][None]


def _balls(
    rows: np.ndarray,
    row_radii: np.ndarray,
    columns: np.ndarray,
    column_radii: np.ndarray,
    block: int,
    mesh: Mesh | None,
    exact: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Who lies in whose ball, of rows and of columns, from one pass.

    Returns:
      Of rows, bool `[n, 2]`: in a column's ball (<=), likewise (<). Of columns, int32 `[m, 3]`: whether in a row's ball
      (<=), likewise (<), and how many rows are in the column's own ball (<).
    """
    sides = (rows, row_radii), (columns, column_radii)
    of_rows, of_columns = (np.concatenate([_norms(x), reach[:, None]], 1) for x, reach in sides)
    pairs = Pairs(rows, columns, known=(of_rows, of_columns), block=block, mesh=mesh)
    return pairs.fold(
        functools.partial(_count, exact), lambda n: jnp.zeros((n, 2), bool), lambda m: jnp.zeros((m, 3), jnp.int32)
    )


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def _count(
    exact: bool, of_rows: jax.Array, of_columns: jax.Array, rows: Block, columns: Block
) -> tuple[jax.Array, jax.Array]:
    apart, there = _squares(rows, columns, exact), paired(rows, columns, False)
    # what rounding can do to the difference of large numbers, or to a small one
    tie = _TIE * (apart if exact else _sizes(rows, columns))
    theirs, own = columns.known[:, 1][None], rows.known[:, 1][:, None]
    (loose, strict), (loosely, strictly) = (
        (there & (apart <= reach + tie), there & (apart < reach - tie)) for reach in (theirs, own)
    )
    new = [loosely.any(0), strictly.any(0), strict.sum(0, dtype=jnp.int32)]
    return of_rows | jnp.stack([loose.any(1), strict.any(1)], 1), of_columns + jnp.stack(new, 1)
