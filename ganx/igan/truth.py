"""The parts of generated images, which people had to draw by hand: a world's are known, others a segmenter names."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from ganx.data import open_source
from ganx.data.worlds import PictureWorld
from ganx.data.worlds.faces import SUPER, Faces
from ganx.gan import Gan
from ganx.segment import NONE, Segmenter, channels
from ganx.segmenters import ColourOracle, open_segmenter


def world_of(gan: Gan, source: str = "") -> PictureWorld | None:
    """The world that a generator learned from, at its size; None if it was none, or one without colour."""
    source = source or gan.spec.data
    if not source.startswith("world:") or gan.spec.channels != 3:
        return None
    world = open_source(source)
    return dataclasses.replace(world, size=gan.spec.resolution) if isinstance(world, PictureWorld) else None


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class FaceParts:
    """The 11 parts of `SUPER`, what people call the parts of a face, read off the colours of the faces world."""

    world: Faces
    on_device: ClassVar[bool] = True

    @property
    def names(self) -> tuple[str, ...]:
        return (NONE, *(name for name, _ in SUPER))

    @property
    def categories(self) -> tuple[str, ...]:
        return ("object", *("part" for _ in SUPER))

    def __call__(self, images: jax.Array) -> jax.Array:
        """int32 `[n, H, W]` of images `[n, H, W, 3]` in [-1, 1]; never 0."""
        return self.world.to_super(self.world.oracle(images)).astype(jnp.int32) + 1


def parts_of(gan: Gan, source: str = "", segmenter: str = "") -> Segmenter | None:
    """What names the parts of a generator's images: a segmenter by its name, or else the world that it learned from.

    Args:
      source: of the generator's data, if it does not say itself.
      segmenter: see `ganx.segmenters.open_segmenter`.

    Returns:
      None if no segmenter is named and the data were no world.
    """
    if segmenter:
        return open_segmenter(segmenter)
    world = world_of(gan, source)
    return None if world is None else FaceParts(world) if isinstance(world, Faces) else ColourOracle(world)


def part_names(parts: Segmenter) -> tuple[str, ...]:
    """Names of the parts, in the order of `part_masks`."""
    return tuple(parts.names[1:])


@jax.jit
def part_masks(parts: Segmenter, images: jax.Array) -> jax.Array:
    """Where each part is: bool `[n, parts, H, W]`; images `[n, H, W, 3]` in [-1, 1]."""
    labels = channels(parts(images))[:, :, None]
    masks = (labels == jnp.arange(1, len(parts.names))[:, None, None]).any(1)
    return jax.image.resize(masks, (*masks.shape[:2], *images.shape[1:3]), "nearest")


def grown(masks: jax.Array, by: int) -> jax.Array:
    """Masks `[..., H, W]` and all pixels at most `by` away from them."""
    window = (1,) * (masks.ndim - 2) + (2 * by + 1,) * 2
    return jax.lax.reduce_window(masks.astype(jnp.float32), 0.0, jax.lax.max, window, (1,) * masks.ndim, "SAME") > 0
