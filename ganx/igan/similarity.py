"""How alike filters of a group are, and how far groups own positions alone (ours)."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from ganx.igan.energy import centres
from ganx.igan.filters import FilterStats, by_position
from ganx.igan.partition import membership


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Mean cosine of filters' mean maps: over pairs in one group, and over pairs in different groups. A pytree."""

    within: jax.Array
    between: jax.Array


jax.tree_util.register_dataclass(Similarity, ["within", "between"], [])


def cosines(stats: FilterStats) -> jax.Array:
    """Cosine of the mean maps of every two filters, `[m, m]`; 0 for a filter that is zero everywhere."""
    maps = stats.mean
    unit = maps / jnp.maximum(jnp.linalg.norm(maps, axis=1, keepdims=True), jnp.finfo(jnp.float32).tiny)
    return jnp.matmul(unit, unit.T, precision=jax.lax.Precision.HIGHEST)


def similarity(stats: FilterStats, labels: jax.Array, count_dead: bool = True) -> Similarity:
    """Within- and between-group similarity; NaN where there is no such pair.

    Args:
      stats: of the filters.
      labels: int32 `[m]`.
      count_dead: whether pairs with a dead filter count (a filter that is zero everywhere is like nothing). Read
        `within` together with the number of dead filters.
    """
    alike = cosines(stats)
    counts = jnp.ones(len(labels)) if count_dead else stats.alive.astype(jnp.float32)
    pairs = counts[:, None] * counts * (1 - jnp.eye(len(labels)))
    same = labels[:, None] == labels
    return Similarity(_mean(alike, pairs * same), _mean(alike, pairs * ~same))


def exclusivity(features: jax.Array, labels: jax.Array, groups: int) -> jax.Array:
    """Share of a filter's activation at positions where its own group's centre is the largest: a float32 scalar.

    The mean over filters and images, filters that are zero on an image left out.

    Args:
      features: not negative, `[n, h, w, m]`.
      labels: int32 `[m]`.
      groups: number of groups.
    """
    f = by_position(features).astype(jnp.float32)
    owner = centres(f, labels, groups).argmax(2)
    owned = jnp.where(owner[..., None] == labels, f, 0.0).sum(1)
    mass = f.sum(1)
    return _mean(owned / jnp.maximum(mass, jnp.finfo(jnp.float32).tiny), (mass > 0).astype(jnp.float32))


def centre_areas(features: jax.Array, labels: jax.Array, groups: int, threshold: float = 0.5) -> jax.Array:
    """Share of positions where a group's centre exceeds `threshold` of its range over all images: `[c]`.

    It must fall as the number of groups grows (paper, figure 4c). NaN for a group whose centre never changes.
    """
    middle = centres(features, labels, groups)
    low, high = middle.min((0, 1)), middle.max((0, 1))
    area = (middle > low + threshold * (high - low)).mean((0, 1))
    return jnp.where(high > low, area, jnp.nan)


def purity(labels: jax.Array, truth: jax.Array, groups: int, parts: int) -> jax.Array:
    """Share of filters whose true part is the most frequent one in their group, float32.

    Args:
      labels: int32 `[m]`, one of `groups`.
      truth: int32 `[m]`, one of `parts`; filters with a negative truth do not count.
      groups, parts: how many.
    """
    table = membership(labels, groups).T @ membership(truth, parts)
    return table.max(1).sum() / jnp.maximum(table.sum(), 1.0)


def rand_index(labels: jax.Array, truth: jax.Array, groups: int, parts: int) -> jax.Array:
    """Adjusted Rand index of two labellings (Hubert and Arabie 1985): 1 for the same, 0 for chance; float32."""
    table = membership(labels, groups).T @ membership(truth, parts)
    together, rows, columns = (_pairs(x).sum() for x in (table, table.sum(1), table.sum(0)))
    chance = rows * columns / jnp.maximum(_pairs(table.sum()), 1.0)
    most = (rows + columns) / 2
    return jnp.where(most == chance, 1.0, (together - chance) / jnp.where(most == chance, 1.0, most - chance))


def own_parts(features: jax.Array, masks: jax.Array) -> jax.Array:
    """The true part that every filter is most active in, int32 `[m]` (ours).

    Density counts, not mass: the mean activation inside a part, so that small parts can win.

    Args:
      features: `[n, h, w, m]`.
      masks: of the same images, bool or share in [0, 1], `[n, parts, h, w]` (see `edits.mask_at`).
    """
    f, inside = by_position(features), masks.reshape(*masks.shape[:2], -1).astype(jnp.float32)
    mass = jnp.einsum("nkm,npk->pm", f, inside, preferred_element_type=jnp.float32)
    density = mass / jnp.maximum(inside.sum((0, 2)), 1e-6)[:, None]
    return density.argmax(0).astype(jnp.int32)


def _pairs(n: jax.Array) -> jax.Array:
    return n * (n - 1) / 2


def _mean(values: jax.Array, counts: jax.Array) -> jax.Array:
    """Weighted mean, NaN if nothing counts."""
    total = counts.sum()
    return jnp.where(total > 0, (values * counts).sum() / jnp.maximum(total, 1e-30), jnp.nan)
