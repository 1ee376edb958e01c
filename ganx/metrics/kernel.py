"""The kernel distance (KID, Bińkowski et al. 2018): an unbiased squared MMD under the kernel (x·y / d + 1)³."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ganx.errors import GanxError
from ganx.metrics.blocks import Block, Pairs, paired

_HIGHEST = jax.lax.Precision.HIGHEST


def kid_full(real: np.ndarray, fake: np.ndarray, *, block: int = 2048, mesh: Mesh | None = None) -> float:
    """One U-statistic over all pairs, deterministic; memory is that of the features and one block.

    Args:
      real, fake: features `[n, d]` and `[m, d]`.
      block: rows and columns taken at a time; does not change the result beyond rounding.
      mesh: devices over which the rows of a block are shared.
    """
    _check(real, fake)
    within = [2.0 * _total(Pairs(x, block=block, mesh=mesh), True) / (len(x) * (len(x) - 1)) for x in (real, fake)]
    across = _total(Pairs(real, fake, block=block, mesh=mesh), False) / (len(real) * len(fake))
    return within[0] + within[1] - 2.0 * across


def kid(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    subsets: int = 100,
    size: int = 1000,
    key: jax.Array | None = None,
    indices: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[float, float]:
    """Mean and population deviation over random subsets, as torch-fidelity and StyleGAN2-ADA report it.

    Args:
      real, fake: features `[n, d]` and `[m, d]`.
      subsets, size: how many, of how many samples each (the smaller set at most).
      key: draws them without replacement within each.
      indices: `[subsets, size]` for real and for fake, instead of drawing any.

    Raises:
      GanxError: neither key nor indices, or widths that differ.
    """
    _check(real, fake)
    if indices is None:
        if key is None:
            raise GanxError("random subsets need a key; give key= or indices=")
        indices = draw_subsets(key, len(real), len(fake), subsets, size)
    values = [_subset(real[i], fake[j]) for i, j in zip(*indices, strict=True)]
    return float(np.mean(values)), float(np.std(values))


def draw_subsets(key: jax.Array, n: int, m: int, subsets: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices `[subsets, size]` into sets of `n` and `m`, without replacement within a subset."""
    size = min(size, n, m)
    host = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    drawn = [[host.choice(total, size, replace=False) for total in (n, m)] for _ in range(subsets)]
    return np.stack([pair[0] for pair in drawn]), np.stack([pair[1] for pair in drawn])


def _subset(x: np.ndarray, y: np.ndarray) -> float:
    m = len(x)
    within, across = (np.asarray(v, np.float64) for v in _subset_rows(x, y))
    # the kernel at (0, 0), 1, has been taken off all entries and cancels out
    return float(within.sum() / (m * (m - 1)) - 2 * across.sum() / (m * m))


@jax.jit
def _subset_rows(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Row sums of the kernel, less 1: within x and within y without the diagonal, and across."""
    off = 1.0 - jnp.eye(len(x))
    return ((_less_one(x, x) + _less_one(y, y)) * off).sum(1), _less_one(x, y).sum(1)


def _total(pairs: Pairs, within: bool) -> float:
    """Sum of the kernel less 1 over all pairs; `within` one set over each pair once."""
    return sum(float(np.asarray(part, np.float64).sum()) for part in pairs.map(functools.partial(_rows, within)))


@functools.partial(jax.jit, static_argnums=0)
def _rows(within: bool, x: Block, y: Block) -> jax.Array:
    return jnp.where(paired(x, y, within), _less_one(x.features, y.features), 0.0).sum(1)


def _less_one(x: jax.Array, y: jax.Array) -> jax.Array:
    """(t + 1)³ - 1 with t = x·y / d: less to lose by rounding in the sums."""
    t = jnp.matmul(x, y.T, precision=_HIGHEST) / x.shape[1]
    return t * (3.0 + t * (3.0 + t))


def _check(real: np.ndarray, fake: np.ndarray) -> None:
    if real.shape[1:] != fake.shape[1:]:
        raise GanxError(
            f"features are {real.shape[1:]} and {fake.shape[1:]} wide; take both from one network and layer"
        )
    if min(len(real), len(fake)) < 2:
        raise GanxError("the kernel distance needs two images or more on both sides")
