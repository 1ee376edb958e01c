"""Segmenters by name."""

from __future__ import annotations

from ganx.data import open_source
from ganx.data.worlds import PictureWorld
from ganx.errors import GanxError
from ganx.readers import masked_segmenter, named, part_segmenter
from ganx.segment import Segmenter
from ganx.segmenters.boxes import read_boxes
from ganx.segmenters.colours import BasicColours
from ganx.segmenters.joined import Joined
from ganx.segmenters.oracle import ColourOracle

COLOURS = "colours"


def open_segmenter(name: str) -> Segmenter:
    """A segmenter by name.

    Args:
      name: "world:faces" or another picture world for its colour oracle; "unet:faces?size=32" for the network that
        reads that world's pictures of that size (64 by default), trained if it is not at hand; `&seed=1` for another;
        "unet:SOURCE", such as "unet:zip:camvid.zip?size=64x48", for one that learns from a source's masks, see
        `ganx.readers.masked_segmenter`; "upernet:FOLDER" for the published network;
        "boxes:mouth=0.62,0.30,0.82,0.70&eyes=…" for places in aligned pictures; "colours" for the basic colours, also
        beside any other that labels every pixel of a picture: "unet:faces+colours".

    Raises:
      GanxError: there is none of that name.
    """
    if name == COLOURS:
        return BasicColours()
    if name.endswith(f"+{COLOURS}"):
        return Joined((open_segmenter(name.removesuffix(f"+{COLOURS}")), BasicColours()))
    if name.startswith("upernet:"):
        from ganx.convert.upernet import load_upernet  # which makes a segmenter of this package

        return load_upernet(name.removeprefix("upernet:"))
    if name.startswith("unet:world:"):
        raise GanxError(f"a world's segmenter is named unet:{name.removeprefix('unet:world:')}")
    if name.startswith("unet:") and ":" in name.removeprefix("unet:").partition("?")[0]:
        return masked_segmenter(name.removeprefix("unet:"))
    if name.startswith("unet:"):
        return part_segmenter(*named(name))
    if name.startswith("boxes:"):
        return read_boxes(name)
    if name.startswith("world:"):
        world = open_source(name)
        if not isinstance(world, PictureWorld) or world.spec.shape[-1] != 3:
            raise GanxError(f"{name} has no classes of pixels; use world:faces, world:scenes or world:digits")
        return ColourOracle(world)
    raise GanxError(
        f"no segmenter {name!r}; use a world, such as world:faces, or unet:faces, upernet:FOLDER, colours, boxes:…"
    )
