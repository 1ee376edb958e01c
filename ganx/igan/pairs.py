"""Pairs of generated images whose parts are known."""

from __future__ import annotations

import dataclasses
import functools

import jax

from ganx.gan import Activation, Gan
from ganx.igan.cut import Cut
from ganx.igan.edits import collage, mask_at, swap
from ganx.igan.truth import grown, part_masks
from ganx.segment import Segmenter


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Images and donors. A pytree.

    Attributes:
      a, b: what crosses the cut, `n` samples each.
      before, donor: their images `[n, H, W, C]`.
      masks: parts of `before`, bool `[n, parts, H, W]`.
      both: where the part is in either of the two, a little larger: what a swap may change (ours).
    """

    a: Activation
    b: Activation
    before: jax.Array
    donor: jax.Array
    masks: jax.Array
    both: jax.Array

    def __getitem__(self, index: slice) -> Pairs:
        return jax.tree.map(lambda leaf: leaf[index], self)


jax.tree_util.register_dataclass(Pairs, ["a", "b", "before", "donor", "masks", "both"], [])


@functools.partial(jax.jit, static_argnames=("cut", "pairs", "grow"))
def draw_pairs(gan: Gan, cut: Cut, parts: Segmenter, key: jax.Array, pairs: int, grow: int = 1) -> Pairs:
    """Pairs of unrelated images with their parts; `grow` pixels of tolerance around a part."""
    act = cut.lower(gan, gan.latents(key, 2 * pairs), label=gan.labels(key, 2 * pairs))
    images = cut.upper(gan, act)
    masks = part_masks(parts, images)
    both = grown(masks[:pairs] | masks[pairs:], grow)
    return Pairs(act[:pairs], act[pairs:], images[:pairs], images[pairs:], masks[:pairs], both)


@functools.partial(jax.jit, static_argnames="cut")
def swapped(gan: Gan, cut: Cut, pairs: Pairs, channels: jax.Array) -> jax.Array:
    """What `pairs.before` becomes with some channels, `[m]` (see `edits.select`), from the donors."""
    return cut.upper(gan, pairs.a.with_features(swap(pairs.b.features, channels)(pairs.a.features)))


@functools.partial(jax.jit, static_argnames="cut")
def collaged(gan: Gan, cut: Cut, pairs: Pairs, mask: jax.Array) -> jax.Array:
    """What `pairs.before` becomes with the features where a mask is, bool `[n, H, W]`, from the donors."""
    mask = mask_at(mask, pairs.a.features.shape[1])
    return cut.upper(gan, pairs.a.with_features(collage(pairs.b.features, mask)(pairs.a.features)))
