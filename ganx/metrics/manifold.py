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
from ganx.metrics.blocks import Pairs

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
    # a row's flags: inside a column's ball (loosely, strictly), how many such balls, a column inside the row's ball
    fakes = _compare(fake, real, in_fake, in_real, block, mesh, exact)
    reals = _compare(real, fake, in_real, in_fake, block, mesh, exact)
    choose = 1 if strict else 0
    return Manifold(
        precision=float(fakes[:, choose].astype(bool).mean()),
        recall=float(reals[:, choose].astype(bool).mean()),
        density=float(fakes[:, 1].astype(np.int64).sum() / (k * len(fake))),
        coverage=float(reals[:, 2].astype(bool).mean()),
        k=k,
    )


def radii(x: np.ndarray, k: int, *, block: int = 2048, mesh: Mesh | None = None, exact: bool = False) -> np.ndarray:
    """Squared distance from each row of `x` `[n, d]` to its k-th nearest other row, float32 `[n]`."""
    pairs = Pairs(x, x, block, mesh)
    found = pairs.fold(functools.partial(_nearest, k, exact), lambda n: jnp.full((n, k), jnp.inf))
    return pairs.gather(best[:, -1] for best in found)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _nearest(
    k: int, exact: bool, best: jax.Array, rows: jax.Array, i: jax.Array, columns: jax.Array, j: jax.Array
) -> jax.Array:
    """The `k` smallest squared distances so far `[n, k]`, ascending; a point is no neighbour of itself."""
    apart = jnp.where((j[None] < 0) | (i[:, None] == j[None]), jnp.inf, squares(rows, columns, exact))
    return -jax.lax.top_k(-jnp.concatenate([best, apart], 1), k)[0]


def squares(x: jax.Array, y: jax.Array, exact: bool = False) -> jax.Array:
    """Squared distances `[n, m]` of rows, never below 0."""
    if exact:
        return jax.lax.map(lambda row: jnp.square(row - y).sum(1), x)
    norms = jnp.square(x).sum(1)[:, None] + jnp.square(y).sum(1)[None]
    return jnp.maximum(norms - 2.0 * jnp.matmul(x, y.T, precision=_HIGHEST), 0.0)


def _compare(
    rows: np.ndarray,
    columns: np.ndarray,
    row_radii: np.ndarray,
    column_radii: np.ndarray,
    block: int,
    mesh: Mesh | None,
    exact: bool,
) -> np.ndarray:
    """Counts int32 `[n, 3]` a row: columns whose ball it is in (<=), likewise (<), and columns in its own ball (<)."""
    wide_rows, wide_columns = (
        np.concatenate([x, r[:, None]], 1) for x, r in ((rows, row_radii), (columns, column_radii))
    )
    pairs = Pairs(wide_rows, wide_columns, block, mesh)
    return pairs.gather(pairs.fold(functools.partial(_count, exact), lambda n: jnp.zeros((n, 3), jnp.int32)))


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def _count(
    exact: bool, counts: jax.Array, rows: jax.Array, i: jax.Array, columns: jax.Array, j: jax.Array
) -> jax.Array:
    (x, own), (y, theirs) = ((part[:, :-1], part[:, -1]) for part in (rows, columns))
    apart, there = squares(x, y, exact), j[None] >= 0
    # what rounding can do to the difference of large numbers, or to a small one
    size = apart if exact else jnp.square(x).sum(1)[:, None] + jnp.square(y).sum(1)[None]
    tie = _TIE * size
    found = (apart <= theirs[None] + tie, apart < theirs[None] - tie, apart < own[:, None] - tie)
    return counts + jnp.stack([(flags & there).sum(1, dtype=jnp.int32) for flags in found], 1)
