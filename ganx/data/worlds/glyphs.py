"""Shapes of the digits: as strokes, or as bitmaps that the user has."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ganx.errors import GanxError

Point = tuple[float, float]
SEGMENTS = 16
"""Segments a digit; those with fewer repeat their last one."""
PER_NUMBER = 200
"""Bitmaps kept of each number."""


def _arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float, pieces: int) -> list[Point]:
    """Points on an ellipse, degrees clockwise from rightwards."""
    angles = [math.radians(start + (end - start) * i / pieces) for i in range(pieces + 1)]
    return [(cx + rx * math.cos(t), cy + ry * math.sin(t)) for t in angles]


STROKES: tuple[Sequence[list[Point]], ...] = (
    [_arc(0, 0, 0.55, 0.9, 0, 360, 14)],
    [[(-0.35, -0.55), (0, -0.9), (0, 0.9)]],
    [[*_arc(0, -0.42, 0.52, 0.48, 185, 395, 9), (-0.55, 0.9), (0.58, 0.9)]],
    [_arc(-0.05, -0.45, 0.5, 0.45, 200, 440, 7), _arc(-0.05, 0.43, 0.56, 0.47, -85, 155, 7)],
    [[(0.25, 0.9), (0.25, -0.9), (-0.6, 0.35), (0.65, 0.35)]],
    [[(0.5, -0.9), (-0.4, -0.9), (-0.48, -0.1), *_arc(-0.05, 0.35, 0.55, 0.55, 235, 500, 9)]],
    [[*_arc(0.35, 0, 0.85, 0.95, 255, 190, 4), *_arc(0, 0.4, 0.52, 0.5, 180, 540, 10)]],
    [[(-0.58, -0.9), (0.58, -0.9), (-0.15, 0.9)]],
    [_arc(0, -0.45, 0.42, 0.44, 0, 360, 7), _arc(0, 0.45, 0.52, 0.46, 0, 360, 7)],
    [[*_arc(0, -0.4, 0.5, 0.5, 0, 360, 10), *_arc(-0.35, 0, 0.85, 0.95, 0, 70, 4)]],
)
"""The polylines of each digit, in a frame that spans [-1, 1], y downwards."""


@dataclasses.dataclass(frozen=True)
class Strokes:
    """All digits as segments between shared vertices, so that a moved vertex takes its strokes along.

    Attributes:
      vertices: float32 `[10, V, 2]`, padded with zeros.
      segments: int32 `[10, 16, 2]`, the vertices at both ends.
    """

    vertices: np.ndarray
    segments: np.ndarray


@functools.cache
def strokes() -> Strokes:
    """`STROKES` as tables. Points that coincide are one vertex, and closed strokes stay closed."""
    vertices = np.zeros((10, SEGMENTS + 2, 2), np.float32)
    segments = np.zeros((10, SEGMENTS, 2), np.int32)
    for digit, lines in enumerate(STROKES):
        found: dict[Point, int] = {}
        pairs: list[tuple[int, int]] = []
        for line in lines:
            ends = [found.setdefault((round(x, 6), round(y, 6)), len(found)) for x, y in line]
            pairs += itertools.pairwise(ends)
        vertices[digit, : len(found)] = list(found)
        segments[digit] = pairs + [pairs[-1]] * (SEGMENTS - len(pairs))
    return Strokes(vertices, segments)


@dataclasses.dataclass(frozen=True)
class Bitmaps:
    """Digits as grey pictures, sorted by number.

    Attributes:
      ink: uint8 `[10, PER_NUMBER, S, S]`, numbers with fewer pictures repeat them.
      wide: the same, every pixel the darkest of its 3 × 3 neighbours: the ink and an outline around it.
    """

    ink: np.ndarray
    wide: np.ndarray


@functools.lru_cache(maxsize=4)
def bitmaps(source: str) -> Bitmaps:
    """Digits from scikit-learn ("sklearn") or from an `.npz` file with images or x_train, labels or y_train.

    Raises:
      GanxError: if the source cannot be read or lacks a number.
    """
    images, labels = _sklearn() if source == "sklearn" else _npz(source)
    groups = [images[labels == number][:PER_NUMBER] for number in range(10)]
    for number, group in enumerate(groups):
        if not len(group):
            raise GanxError(f"glyphs={source} has no picture of a {number}; give a set with all ten digits")
    ink = np.stack([np.resize(group, (PER_NUMBER, *group.shape[1:])) for group in groups])
    padded = np.pad(ink, ((0, 0), (0, 0), (1, 1), (1, 1)))
    size = ink.shape[-1]
    shifted = [padded[..., i : i + size, j : j + size] for i in range(3) for j in range(3)]
    return Bitmaps(ink, np.max(shifted, axis=0))


def _npz(path: str) -> tuple[np.ndarray, np.ndarray]:
    if not Path(path).is_file():
        raise GanxError(f"glyphs={path} is no file; give 'strokes', 'sklearn' or an .npz of digits such as MNIST")
    with np.load(path) as data:
        images = next((data[name] for name in ("images", "x", "x_train") if name in data), None)
        labels = next((data[name] for name in ("labels", "y", "y_train") if name in data), None)
    if images is None or labels is None or images.ndim != 3 or images.dtype != np.uint8:
        raise GanxError(
            f"glyphs={path} needs uint8 images [n, h, w] (images, x or x_train) and labels (labels, y or y_train)"
        )
    return images, labels


def _sklearn() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise GanxError("glyphs=sklearn needs scikit-learn; run: pip install scikit-learn") from None
    data = load_digits()
    grey = np.clip(data.images * (255 / 16), 0, 255).astype(np.uint8)
    from PIL import Image

    large = [np.asarray(Image.fromarray(one).resize((32, 32), Image.Resampling.BILINEAR)) for one in grey]
    return np.stack(large), data.target
