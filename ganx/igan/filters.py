"""Filters as data: sums over images that say all a partition needs to know (ours, derived from paper eq. 2).

A filter's maps on N images enter the mixture only through their mean map and their scatter about it, so the
`[n, m, k]` maps are never kept: sums are accumulated in float32 over as many images as wanted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ganx.errors import unknown
from ganx.training.loops import inner_loop

NORMALIZE = ("rms", "none")
DEAD = 1e-3  # of the layer's largest activation (ours)


@dataclasses.dataclass(frozen=True)
class FilterStats:
    """Sums over images of the maps of m filters with k positions each. A pytree.

    Attributes:
      images: number of images, a float32 scalar.
      total: sum of the maps, float32 `[m, k]`.
      square: sum of squares over images and positions, float32 `[m]`.
      peak: largest activation, float32 `[m]`.
    """

    images: jax.Array
    total: jax.Array
    square: jax.Array
    peak: jax.Array

    @property
    def mean(self) -> jax.Array:
        """Mean map of every filter, `[m, k]`."""
        return self.total / self.images

    @property
    def scatter(self) -> jax.Array:
        """Mean squared distance of a filter's maps from its mean map, `[m]`."""
        return jnp.maximum(self.square / self.images - jnp.square(self.mean).sum(1), 0.0)

    @property
    def rms(self) -> jax.Array:
        """Root mean square of every filter over images and positions, `[m]`."""
        return jnp.sqrt(self.square / (self.images * self.total.shape[1]))

    @property
    def alive(self) -> jax.Array:
        """Which filters are not dead, bool `[m]`: peak of at least a thousandth of the layer's."""
        return (self.peak >= DEAD * self.peak.max()) & (self.peak > 0)


jax.tree_util.register_dataclass(FilterStats, ["images", "total", "square", "peak"], [])


def by_position(features: jax.Array) -> jax.Array:
    """`[n, h, w, m]` as `[n, k, m]` with k = h w; what has that form already is returned as it is."""
    return features if features.ndim == 3 else features.reshape(len(features), -1, features.shape[-1])


def filter_stats(features: jax.Array) -> FilterStats:
    """Statistics of one batch of features, `[n, h, w, m]` or `[n, k, m]`, of any float type."""
    f = by_position(features).astype(jnp.float32)
    return FilterStats(jnp.float32(len(f)), f.sum(0).T, jnp.square(f).sum((0, 1)), f.max((0, 1)))


def merge(a: FilterStats, b: FilterStats) -> FilterStats:
    """Statistics of both sets of images together."""
    return FilterStats(a.images + b.images, a.total + b.total, a.square + b.square, jnp.maximum(a.peak, b.peak))


def gather(features_of: Callable[[jax.Array], jax.Array], latents: jax.Array) -> FilterStats:
    """Statistics over batches of latents, one batch in memory at a time.

    Args:
      features_of: latents `[n, ...]` -> features `[n, h, w, m]`.
      latents: `[batches, n, ...]`.
    """
    first = filter_stats(features_of(latents[0]))
    if len(latents) == 1:
        return first

    def body(stats: FilterStats, z: jax.Array) -> tuple[FilterStats, None]:
        return merge(stats, filter_stats(features_of(z))), None

    return inner_loop(body, first, latents[1:])[0]


def scaled(stats: FilterStats, normalize: str) -> tuple[jax.Array, jax.Array]:
    """Mean maps `[m, k]` and scatters `[m]`, in the units in which filters are compared.

    Args:
      stats: over the images.
      normalize: "none" (as in the paper) or "rms": every filter is divided by its root mean square, so that filters
        are alike when they are active in the same place, however strongly (ours; without it gains that vary by a
        factor of e destroy the partition).

    Raises:
      GanxError: another `normalize`.
    """
    if normalize not in NORMALIZE:
        raise unknown("normalization", normalize, NORMALIZE)
    if normalize == "none":
        return stats.mean, stats.scatter
    square = jnp.square(stats.rms)
    scale = jnp.sqrt(square + 1e-8 * square.mean() + jnp.finfo(jnp.float32).tiny)
    return stats.mean / scale[:, None], stats.scatter / jnp.square(scale)
