"""Priors over attributes: one table of joint probabilities, and drawing from it.

All that may be asked of a prior (independent tables, correlated tables, combinations held out, balanced
margins) ends in one table over all combinations, drawn with one uniform number.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError

Attrs = tuple[tuple[str, tuple[str, ...]], ...]
"""Names of attributes with the names of their values, in the order of the table's axes."""

Tables = tuple[tuple[tuple[str, ...], tuple[float, ...]], ...]
"""Tables of probabilities: the attributes that a table is about, and its entries in row-major order."""

Combos = tuple[tuple[tuple[str, int], ...], ...]
"""Combinations of values: each a tuple of (attribute, value index)."""


@functools.lru_cache(maxsize=64)
def joint(attrs: Attrs, tables: Tables, exclude: Combos, balance: tuple[str, ...]) -> np.ndarray:
    """Probability of every combination of values, float64, one axis an attribute.

    Attributes that no table names are uniform and independent. `exclude` removes combinations, and the rest is
    scaled to sum to one. `balance` then rescales until each attribute named there is uniform over the values
    that are left to it.

    Raises:
      GanxError: if nothing is left, or the margins cannot be balanced.
    """
    names = [name for name, _ in attrs]
    table = np.ones([len(values) for _, values in attrs])
    for about, entries in tables:
        sizes = [table.shape[names.index(name)] for name in about]
        factor = np.asarray(entries, np.float64).reshape(sizes)
        order = np.argsort([names.index(name) for name in about])
        shape = [size if name in about else 1 for name, size in zip(names, table.shape, strict=True)]
        table = table * factor.transpose(order).reshape(shape)
    for combo in exclude:
        fixed = dict(combo)
        table[tuple(fixed.get(name, slice(None)) for name in names)] = 0
    if not table.sum() > 0:
        raise GanxError("the prior leaves no combination of attributes to draw; exclude fewer of them")
    return _balanced(table / table.sum(), [names.index(name) for name in balance])


def margin(table: np.ndarray, axis: int) -> np.ndarray:
    """Probabilities of one attribute's values."""
    return table.sum(axis=tuple(i for i in range(table.ndim) if i != axis))


def draw(table: np.ndarray, u: jax.Array) -> list[jax.Array]:
    """Value index of each attribute, int32 scalars, for one uniform number `u` in [0, 1)."""
    total = np.cumsum(table.reshape(-1))
    combo = jnp.searchsorted(jnp.asarray(total / total[-1], jnp.float32), u, side="right").astype(jnp.int32)
    return list(jnp.unravel_index(combo, table.shape))


def _balanced(table: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """Iterative proportional fitting of the margins in `axes` to uniform ones."""
    for _ in range(1000 if axes else 0):
        worst = 0.0
        for axis in axes:
            now = margin(table, axis)
            want = (now > 0) / np.count_nonzero(now)
            worst = max(worst, float(np.abs(now - want).max()))
            scale = np.divide(want, now, out=np.zeros_like(now), where=now > 0)
            table = table * scale.reshape([-1 if i == axis else 1 for i in range(table.ndim)])
        if worst < 1e-9:
            return table
    if axes:
        raise GanxError("these attributes cannot be balanced under what is excluded; exclude or balance fewer")
    return table
