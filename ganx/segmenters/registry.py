"""Segmenters by name."""

from __future__ import annotations

from ganx.data import open_source
from ganx.data.worlds import PictureWorld
from ganx.errors import GanxError
from ganx.segment import Segmenter
from ganx.segmenters.oracle import ColourOracle


def open_segmenter(name: str) -> Segmenter:
    """A segmenter by name.

    Args:
      name: "world:faces" or another picture world for its colour oracle.

    Raises:
      GanxError: there is none of that name.
    """
    if name.startswith("world:"):
        world = open_source(name)
        if not isinstance(world, PictureWorld) or world.spec.shape[-1] != 3:
            raise GanxError(f"{name} has no classes of pixels; use world:faces, world:scenes or world:digits")
        return ColourOracle(world)
    raise GanxError(f"no segmenter {name!r}; use a picture world, such as world:faces")
