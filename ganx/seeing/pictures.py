"""Pictures of what a generator cannot draw: photograph and reconstruction with both segmentations."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ganx.pictures import enlarge, shrink, to_uint8
from ganx.seeing.omissions import Omissions
from ganx.segment import Segmenter, checked


def colours(count: int) -> np.ndarray:
    """uint8 `[count, 3]`: a colour for every class, neighbours far apart; class 0 is black."""
    hues = (np.arange(count) * 0.618034) % 1
    tones = [colorsys.hls_to_rgb(h, (0.45, 0.62, 0.75)[i % 3], 0.75) for i, h in enumerate(hues)]
    palette = np.rint(255 * np.asarray(tones)).astype(np.uint8)
    palette[0] = 0
    return palette


def labels_of(segmenter: Segmenter, images: np.ndarray) -> np.ndarray:
    """First label of every pixel, int32 `[n, h, w]`, of images `[n, H, W, C]` in [-1, 1]."""
    return checked(segmenter(jnp.asarray(images)), segmenter, len(images))[:, 0]


def blocks(images: np.ndarray, redrawn: np.ndarray, before: np.ndarray, after: np.ndarray, count: int) -> np.ndarray:
    """uint8 `[n, 5, H, W, 3]`: photograph, reconstruction, both segmentations, and what was omitted on a dark ground.

    Args:
      images, redrawn: float `[n, H, W, C]` in [-1, 1].
      before, after: their label maps, integers `[n, h, w]`.
      count: number of classes.
    """
    palette = colours(count)
    size = images.shape[1]
    shown = [np.broadcast_to(to_uint8(x), (*x.shape[:3], 3)) for x in (np.asarray(images), np.asarray(redrawn))]
    lost = np.where((before != after)[..., None], palette[before], palette[before] // 5)
    maps = [_fitted(x, size) for x in (palette[before], palette[after], lost)]
    return np.stack([*shown, *maps], 1)


def key(omissions: Omissions, index: int, top: int = 3) -> str:
    """What became of a class, in words: "door: 72% omitted, drawn as wall 80%, window 15%"."""
    fraction = omissions.fraction()[index]
    instead = ", ".join(f"{name} {share:.0%}" for name, share in omissions.instead(index)[:top])
    return f"{omissions.names[index]}: {fraction:.0%} omitted" + (f", drawn as {instead}" if instead else "")


def rows(omissions: Omissions, deltas: dict[str, float] | None = None) -> list[tuple[str | float, ...]]:
    """The classes by omitted area: name, percent of all pixels, omitted percent, drawn instead, relative delta."""
    present, fraction = omissions.present(), omissions.fraction()
    found: list[tuple[str | float, ...]] = []
    for i in omissions.ranking():
        instead = ", ".join(f"{name} {share:.0%}" for name, share in omissions.instead(i)[:3])
        row = (omissions.names[i], 100 * float(present[i] / present.sum()), 100 * float(fraction[i]), instead)
        found.append((*row, f"{deltas.get(omissions.names[i], float('nan')):+.2f}") if deltas else row)
    return found


def header(deltas: Sequence[str] | dict[str, float] | None) -> tuple[str, ...]:
    """Columns of `rows`."""
    names = ("class", "% of pixels", "% omitted", "drawn instead")
    return (*names, "relative delta") if deltas else names


def _fitted(maps: np.ndarray, size: int) -> np.ndarray:
    """Label pictures at the size of the images, as nearly as whole factors allow."""
    height = maps.shape[1]
    if height < size:
        maps = enlarge(maps, size // height)
    elif height > size:
        maps = shrink(maps, size)
    return maps
