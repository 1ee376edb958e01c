"""What every table must be compared with: partitions that training had no part in.

The third control, feature collaging with a mask, is `edits.collage`.
"""

from __future__ import annotations

import functools
from typing import Any

import jax

from ganx.gan import Gan
from ganx.igan.cut import Cut
from ganx.igan.filters import FilterStats, gather
from ganx.igan.partition import Partition, fit_partition


def random_labels(key: jax.Array, labels: jax.Array) -> jax.Array:
    """Groups of the same sizes with filters drawn at random: int32 `[m]`."""
    return jax.random.permutation(key, labels)


@functools.partial(jax.jit, static_argnames=("cut", "images", "batch"))
def gan_stats(gan: Gan, cut: Cut, key: jax.Array, images: int = 256, batch: int = 32, **conditions: Any) -> FilterStats:
    """Statistics of a generator's filters over fresh latents; `images` is rounded up to whole batches."""
    batches = -(-images // batch)
    latents = gan.latents(key, batches * batch).reshape(batches, batch, *gan.spec.latent)
    return gather(lambda z: cut.lower(gan, z, **conditions).features, latents)


def gan_partition(gan: Gan, cut: Cut, key: jax.Array, groups: int = 24, images: int = 256, **options: Any) -> Partition:
    """A generator's filters as they are, grouped by the mixture without any fine-tuning.

    `options` as for `fit_partition`.
    """
    stats_key, fit_key = jax.random.split(key)
    return fit_partition(gan_stats(gan, cut, stats_key, images), fit_key, groups, **options)
