"""The colour oracle of a procedural world: exact wherever a picture keeps to the world's palette."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ganx.data.worlds.oracle import to_bytes
from ganx.data.worlds.picture import PictureWorld
from ganx.errors import GanxError
from ganx.segment import NONE

SHARPNESS = 8.0
"""Softmax over classes of -8 times the squared colour distance, colours in [0, 1] (dissection §14 A)."""


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class ColourOracle:
    """Labels every pixel with the class of its nearest palette colour, twins told apart by place.

    Label i is class i - 1 of the world.

    Attributes:
      world: a picture world, at any size: labels have the size of the images.
    """

    world: PictureWorld
    on_device: ClassVar[bool] = True

    @property
    def names(self) -> tuple[str, ...]:
        return (NONE, *self.world.CLASSES)

    @property
    def categories(self) -> tuple[str, ...]:
        return ("object",) * len(self.names)

    def __call__(self, images: jax.Array) -> jax.Array:
        """int32 `[n, H, W]` of images `[n, H, W, 3]`, float in [-1, 1] or uint8; never 0."""
        return self.world.oracle(images).astype(jnp.int32) + 1

    def probability(self, images: jax.Array, label: int) -> jax.Array:
        """Share of the label's colours in a softmax over all colours, float32 `[n, H, W]`.

        Classes that are told apart by place alone (left and right brow) share the colours of one of them.
        """
        palette = self.world.palette
        if label - 1 not in palette.parts:
            raise GanxError(f"{self.names[label]!r} has no colour of its own; choose a class that has one")
        if not jnp.issubdtype(images.dtype, jnp.floating):
            images = to_bytes(images) / 127.5 - 1
        colours = palette.colours.astype(np.float32) / 255
        pixels = (jnp.asarray(images, jnp.float32) + 1) / 2
        distance = jnp.square(pixels[..., None, :] - colours).sum(-1)
        return jax.nn.softmax(-SHARPNESS * distance, -1)[..., palette.parts == label - 1].sum(-1)
