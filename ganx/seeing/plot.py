"""The plot of segmentation statistics: areas over relative deltas, the most frequent class first (paper, fig. 3)."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganx.seeing.compare import Comparison

SERIES = ((214, 92, 46), (32, 122, 190), (52, 150, 84), (140, 86, 190), (190, 140, 20), (90, 100, 110))
"""Colours of the generators, in their order; they repeat after six."""
_REAL, _INK, _FAINT = (178, 190, 202), (30, 36, 44), (222, 227, 232)
_LOW, _HIGH = 0.01, 50.0  # percent, on a logarithmic axis
_BELOW, _ABOVE, _OVER = -1.0, 1.1, 1.15  # of relative deltas; beyond `_OVER` the value is written
_LEFT, _RIGHT, _TOP, _GAP, _NAMES = 62, 16, 34, 18, 104
_UPPER, _LOWER = 130, 260  # heights, 1 to 2
_SLOT = 26  # width of a class for one generator
_LOG = float(np.log(_HIGH / _LOW))


def plot(comparison: Comparison, scale: int = 2) -> np.ndarray:
    """uint8 `[H, W, 3]`: bars of the real mean areas with a line for each generator's, and bars of relative deltas.

    Thin lines are 95% intervals. `scale` enlarges everything.
    """
    canvas = _Canvas(comparison, scale)
    canvas.axes()
    for i in range(len(comparison.names)):
        canvas.column(i)
    canvas.legend()
    return np.asarray(canvas.image)


class _Canvas:
    def __init__(self, comparison: Comparison, scale: int):
        self.comparison, self.scale = comparison, scale
        self.sides = list(comparison.sides.items())
        self.slot = max(_SLOT, 9 * len(self.sides) + 8)
        width = max(_LEFT + self.slot * len(comparison.names) + _RIGHT, 150 + 150 * len(self.sides))
        height = _TOP + _UPPER + _GAP + _LOWER + _NAMES
        self.image = Image.new("RGB", (width * scale, height * scale), "white")
        self.pen = ImageDraw.Draw(self.image)
        self.zero = _TOP + _UPPER + _GAP + _LOWER * _ABOVE / (_ABOVE - _BELOW)

    def axes(self) -> None:
        """Lines and marks of both panels."""
        right = _LEFT + self.slot * len(self.comparison.names)
        for mark in (0.01, 0.1, 1, 10):
            self.line(_LEFT, self.area(mark), right, self.area(mark), _FAINT)
            self.text(_LEFT - 6, self.area(mark), f"{mark:g}%", "rm")
        for mark in (-1, -0.5, 0, 0.5, 1):
            self.line(_LEFT, self.delta(mark), right, self.delta(mark), _INK if mark == 0 else _FAINT)
            self.text(_LEFT - 6, self.delta(mark), f"{mark:+g}" if mark else "0", "rm")

    def column(self, i: int) -> None:
        """One class: its area, its deltas, its name."""
        left, comparison = _LEFT + i * self.slot + 3, self.comparison
        width = self.slot - 6
        self.box(left, self.area(comparison.mean[i]), left + width, _TOP + _UPPER, _REAL)
        self.whisker(left + width / 2, self.area, comparison.mean[i], comparison.error[i], _INK)
        for j, (_, side) in enumerate(self.sides):
            colour, share = SERIES[j % len(SERIES)], width / len(self.sides)
            x = left + j * share
            y = self.area(side.mean[i])
            self.line(left - 1, y, left + width + 1, y, colour, 2)
            self.box(x, self.zero, x + share - 1, self.delta(side.delta[i]), colour)
            self.whisker(x + share / 2, self.delta, side.delta[i], side.delta_error[i], _INK)
            if side.delta[i] > _OVER:
                self.sideways(x + share / 2, self.delta(_ABOVE), f"{side.delta[i]:.1f}", colour)
        self.sideways(
            left + width / 2, _TOP + _UPPER + _GAP + _LOWER + 6, comparison.names[i].split(";")[0], _INK, True
        )

    def legend(self) -> None:
        """Who is who, with each FSD."""
        x = _LEFT
        for text, colour in [("real", _REAL), *self._named()]:
            self.box(x, 10, x + 10, 20, colour)
            self.text(x + 15, 15, text, "lm")
            x += 30 + round(self.font.getlength(text) / self.scale)

    def _named(self) -> list[tuple[str, tuple[int, int, int]]]:
        return [
            (f"{name} (FSD {side.distance.value:.3g})", SERIES[j % len(SERIES)])
            for j, (name, side) in enumerate(self.sides)
        ]

    @functools.cached_property
    def font(self) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        return ImageFont.load_default(11 * self.scale)

    def area(self, percent: float) -> float:
        """Height of an area on the logarithmic axis."""
        inside = np.clip(percent, _LOW, _HIGH)
        return float(_TOP + _UPPER * np.log(_HIGH / inside) / _LOG)

    def delta(self, value: float) -> float:
        """Height of a relative delta."""
        inside = np.clip(value, _BELOW, _ABOVE)
        return float(_TOP + _UPPER + _GAP + _LOWER * (_ABOVE - inside) / (_ABOVE - _BELOW))

    def whisker(self, x: float, place: object, value: float, error: float, colour: tuple[int, int, int]) -> None:
        """A 95% interval."""
        assert callable(place)
        self.line(x, place(value - 1.96 * error), x, place(value + 1.96 * error), colour)

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int], width: int = 1) -> None:
        self.pen.line([v * self.scale for v in (x0, y0, x1, y1)], colour, width * self.scale)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int]) -> None:
        low, high = sorted((y0, y1))
        self.pen.rectangle([v * self.scale for v in (x0, low, x1, high)], colour)

    def text(self, x: float, y: float, text: str, anchor: str) -> None:
        self.pen.text((x * self.scale, y * self.scale), text, _INK, self.font, anchor)

    def sideways(self, x: float, y: float, text: str, colour: tuple[int, int, int], hangs: bool = False) -> None:
        """Vertical text that stands on y, or hangs from it."""
        length, size = int(self.font.getlength(text)) + 2, 14 * self.scale
        tile = Image.new("RGB", (length, size), "white")
        ImageDraw.Draw(tile).text((1, size // 2), text, colour, self.font, "lm")
        turned = tile.rotate(90, expand=True)
        top = y * self.scale if hangs else y * self.scale - length
        self.image.paste(turned, (round(x * self.scale - size / 2), round(max(top, 0))))
