"""Fixed boxes: for pictures that are aligned, such as portraits with the eyes always in one place."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.segment import NONE

_MEND = "write boxes:mouth=0.62,0.30,0.82,0.70&eyes=…: TOP,LEFT,BOTTOM,RIGHT as shares of the picture"

Box = tuple[float, float, float, float]
"""Top, left, bottom and right, as shares of the picture's height and width."""


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Boxes:
    """Labels every pixel whose centre is inside a box, whatever the picture shows; boxes may overlap.

    Attributes:
      boxes: name and place of each; label i is box i - 1.
    """

    boxes: tuple[tuple[str, Box], ...]
    on_device: ClassVar[bool] = True

    @property
    def names(self) -> tuple[str, ...]:
        return (NONE, *(name for name, _ in self.boxes))

    @property
    def categories(self) -> tuple[str, ...]:
        return ("object", *("part" for _ in self.boxes))

    def __call__(self, images: jax.Array) -> jax.Array:
        """int32 `[n, K, H, W]` of images `[n, H, W, C]`: a channel for each of the K boxes."""
        height, width = images.shape[1:3]
        top, left, bottom, right = jnp.array([box for _, box in self.boxes]).T[..., None]
        y, x = ((jnp.arange(side) + 0.5) / side for side in (height, width))
        inside = ((top <= y) & (y < bottom))[:, :, None] & ((left <= x) & (x < right))[:, None]
        labels = jnp.where(inside, jnp.arange(1, len(self.boxes) + 1)[:, None, None], 0)
        return jnp.broadcast_to(labels.astype(jnp.int32), (len(images), *labels.shape))


def read_boxes(text: str) -> Boxes:
    """Boxes as they are written on the command line: "boxes:mouth=0.62,0.3,0.82,0.7&eyes=0.35,0.2,0.5,0.8".

    Raises:
      GanxError: no name, one that comes twice, or a box that is none of the picture.
    """
    found: dict[str, Box] = {}
    for part in text.removeprefix("boxes:").split("&"):
        name, _, place = part.partition("=")
        try:
            top, left, bottom, right = map(float, place.split(","))
        except ValueError:
            raise GanxError(f"{part!r} is no box; {_MEND}") from None
        sides = (top, left, bottom, right)
        if not (all(map(math.isfinite, sides)) and 0 <= top < bottom <= 1 and 0 <= left < right <= 1):
            raise GanxError(f"the box {part!r} has no inside, or leaves the picture; {_MEND}")
        if not name or name == NONE or name in found:
            raise GanxError(f"a box needs a name of its own, not {name!r}; {_MEND}")
        found[name] = sides
    return Boxes(tuple(found.items()))
