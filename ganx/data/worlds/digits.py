"""`world:digits`: coloured digits on coloured ground, and their grey and stacked forms."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ganx.data.example import Example
from ganx.data.worlds import glyphs, oracle, shapes
from ganx.data.worlds.base import Params, World, compiled
from ganx.data.worlds.oracle import Colours
from ganx.data.worlds.painter import Layer
from ganx.data.worlds.picture import PictureWorld, Scalars
from ganx.errors import GanxError

RANGES: dict[str, tuple[float, float]] = {
    "rotation": (0.0, 0.22),
    "shear": (0.0, 0.2),
    "scale_x": (0.62, 0.10),
    "scale_y": (0.68, 0.10),
    "shift_x": (0.0, 0.12),
    "shift_y": (0.0, 0.12),
    "pen": (0.1175, 0.0325),
    "pick": (0.5, 0.5),
}
"""Middle and half range of each nuisance; rotation in radians, clockwise; pen is half a stroke's width; pick
chooses among the bitmaps of a number."""

OUTLINE = 0.07
"""Width of the outline in units of the frame."""

BITMAP_HALF = 1.26
"""Half the side of a bitmap in units of a glyph, whose digits leave a margin there."""

NUMBERS = tuple(str(number) for number in range(10))


@dataclasses.dataclass(frozen=True)
class Digits(PictureWorld):
    """Digits. `params.values` holds `RANGES` by name, and `jitter` `[2 V]` if asked for.

    Attributes:
      glyphs: "strokes", "sklearn" (needs scikit-learn) or the path of an `.npz` with bitmaps, such as MNIST.
      jitter: standard deviation by which each vertex of a stroke moves, in units of the glyph; 0.03 resembles
        handwriting.
    """

    NAME: ClassVar[str] = "digits"
    ATTRS: ClassVar[dict[str, tuple[str, ...]]] = {
        "number": NUMBERS,
        "colour": ("red", "blue", "green", "purple", "brown"),
        "style": ("flat", "stroke"),
        "background": ("cyan", "yellow", "white", "silver", "salmon"),
    }
    LABEL: ClassVar[str] = "number"
    LABELS: ClassVar[tuple[str, ...]] = NUMBERS
    CLASSES: ClassVar[tuple[str, ...]] = ("background", "outline", "digit")
    OBJECTS: ClassVar[dict[str, tuple[str, ...]]] = {"style": ("outline",)}
    PALETTE: ClassVar[Colours] = {
        "background": ((55, 224, 213), (230, 240, 55), (255, 255, 255), (171, 179, 205), (255, 140, 124)),
        "outline": ((0, 22, 9),),
        "digit": ((213, 16, 15), (16, 63, 188), (8, 150, 52), (135, 43, 137), (109, 83, 22)),
    }

    glyphs: str = "strokes"
    jitter: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            self._settle("jitter", float(self.jitter))
        except ValueError:
            raise GanxError(f"jitter={self.jitter} of world:digits is no number") from None
        if self.glyphs != "strokes":
            glyphs.bitmaps(self.glyphs)

    @property
    def numbers(self) -> int:
        """One for each range, and two for each vertex that moves."""
        return len(RANGES) + (2 * glyphs.strokes().vertices.shape[1] if self.jitter else 0)

    def values(self, u: jax.Array) -> dict[str, jax.Array]:
        """The nuisances, each uniform over its range; vertices move by Gaussian noise."""
        values = {name: middle + half * (2 * u[i] - 1) for i, (name, (middle, half)) in enumerate(RANGES.items())}
        if self.jitter:
            values["jitter"] = self.jitter * jnp.clip(jax.scipy.special.ndtri(u[len(RANGES) :]), -4, 4)
        return values

    def layers(self, attrs: Scalars, values: Scalars, pixels: tuple[jax.Array, jax.Array]) -> list[Layer]:
        """Ground, outline and digit."""
        shape = self._stroked if self.glyphs == "strokes" else self._bitmap
        ink, around = shape(attrs["number"], values, *pixels)
        ground, outline, digit = (jnp.asarray(self.PALETTE[part], jnp.int32) for part in self.CLASSES)
        return [
            Layer(jnp.zeros_like(ink), ground[attrs["background"]], 0),
            Layer(around, outline[0], 1, attrs["style"] == 1),
            Layer(ink, digit[attrs["colour"]], 2),
        ]

    @compiled
    def read(self, images: jax.Array) -> dict[str, jax.Array]:
        """Colour, background and style, read off the pixels by fixed rules: int32 `[n]` by name.

        The number takes a trained classifier.
        """
        counts = self.palette.counts(images)
        outlined = self.palette.total(counts, "outline") > 20 * (self.size / 64) ** 2
        return {
            "colour": self.palette.vote(counts, "digit"),
            "background": self.palette.vote(counts, "background"),
            "style": outlined.astype(jnp.int32),
        }

    def _stroked(self, number: jax.Array, v: Scalars, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Distances to the digit and to the digit with its outline."""
        table = glyphs.strokes()
        points = jnp.asarray(table.vertices)[number]
        if self.jitter:
            points = points + v["jitter"].reshape(points.shape)
        ends = _placed(v, points)[jnp.asarray(table.segments)[number]]
        squared = [shapes.squared_to_segment(x, y, *ends[i].reshape(4)) for i in range(glyphs.SEGMENTS)]
        distance = jnp.sqrt(jnp.min(jnp.stack(squared), 0)) - v["pen"]
        return distance, distance - OUTLINE

    def _bitmap(self, number: jax.Array, v: Scalars, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        """As `_stroked`, for one of the bitmaps of the number, cut at half its darkest value."""
        maps = glyphs.bitmaps(self.glyphs)
        size = maps.ink.shape[-1]
        pick = jnp.minimum((v["pick"] * glyphs.PER_NUMBER).astype(jnp.int32), glyphs.PER_NUMBER - 1)
        places = [(at / BITMAP_HALF + 1) * (size / 2) - 0.5 for at in _glyph_frame(v, x, y)]
        step = 2 * BITMAP_HALF / size * v["scale_x"]
        ink, wide = (
            jax.scipy.ndimage.map_coordinates(
                jnp.asarray(grey)[number, pick].astype(jnp.float32) / 255, places[::-1], order=1
            )
            for grey in (maps.ink, maps.wide)
        )
        return (0.5 - ink) * step, (0.5 - wide) * step


@dataclasses.dataclass(frozen=True)
class GreyDigits(Digits):
    """White digits on black in one channel: `world:digits?grey=1`, at size 28 or 32 a stand-in for MNIST."""

    VARIANT: ClassVar[str] = "grey=1"
    ATTRS: ClassVar[dict[str, tuple[str, ...]]] = {"number": NUMBERS}
    CLASSES: ClassVar[tuple[str, ...]] = ("background", "digit")
    OBJECTS: ClassVar[dict[str, tuple[str, ...]]] = {}
    PALETTE: ClassVar[Colours] = {"background": ((0, 0, 0),), "digit": ((255, 255, 255),)}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return (self.size, self.size, 1)

    @compiled
    def draw(self, params: Params) -> Example:
        """The examples that `params` describe: image uint8 `[n, R, R, 1]`, mask uint8 `[n, R, R]`."""
        example = super().draw(params)
        return dataclasses.replace(example, image=example.image[..., :1])

    def layers(self, attrs: Scalars, values: Scalars, pixels: tuple[jax.Array, jax.Array]) -> list[Layer]:
        """Ground and digit."""
        shape = self._stroked if self.glyphs == "strokes" else self._bitmap
        ink, _ = shape(attrs["number"], values, *pixels)
        return [Layer(jnp.zeros_like(ink), np.zeros(3, np.int32), 0), Layer(ink, np.full(3, 255, np.int32), 1)]

    @compiled
    def oracle(self, images: jax.Array) -> jax.Array:
        """Class of every pixel, uint8 `[n, R, R]`, by the nearer of black and white; images `[n, R, R, 1]`."""
        return (oracle.to_bytes(images)[..., 0] > 127).astype(jnp.uint8)

    @compiled
    def read(self, images: jax.Array) -> dict[str, jax.Array]:
        """Nothing: the number takes a trained classifier."""
        return {}


@dataclasses.dataclass(frozen=True)
class StackedDigits(World):
    """Three grey digits as the channels of one picture, 1,000 modes: `world:digits?channels3=stack`.

    The label is the number that the three digits spell, red first. There are no masks.

    Attributes:
      size, edges, glyphs, jitter: as for digits.
    """

    NAME: ClassVar[str] = "digits"
    VARIANT: ClassVar[str] = "channels3=stack"
    ATTRS: ClassVar[dict[str, tuple[str, ...]]] = {"red": NUMBERS, "green": NUMBERS, "blue": NUMBERS}
    LABELS: ClassVar[tuple[str, ...]] = tuple(f"{number:03}" for number in range(1000))

    size: int = 64
    edges: str = "hard"
    glyphs: str = "strokes"
    jitter: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        single = self._single
        self._settle("size", single.size)
        self._settle("jitter", single.jitter)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return (self.size, self.size, 3)

    @compiled
    def params(self, indices: jax.Array | np.ndarray) -> Params:
        """What the examples at `indices`, int32 `[n]`, are made of: three digits each, values `[n, 3, ..]`."""
        indices = jnp.asarray(indices, jnp.int32)
        drawn = self._single.params((3 * indices[:, None] + jnp.arange(3)).reshape(-1))
        numbers = drawn.attrs["number"].reshape(-1, 3)
        values = {name: leaf.reshape(-1, 3, *leaf.shape[1:]) for name, leaf in drawn.values.items()}
        return Params({name: numbers[:, i] for i, name in enumerate(self.ATTRS)}, values, indices)

    @compiled
    def draw(self, params: Params) -> Example:
        """The examples that `params` describe: image uint8 `[n, R, R, 3]`, no mask."""
        numbers = jnp.stack([params.attrs[name] for name in self.ATTRS], 1)
        values = {name: leaf.reshape(-1, *leaf.shape[2:]) for name, leaf in params.values.items()}
        single = self._single.draw(Params({"number": numbers.reshape(-1)}, values, jnp.repeat(params.index, 3)))
        image = single.image.reshape(-1, 3, self.size, self.size).transpose(0, 2, 3, 1)
        label = numbers @ jnp.asarray([100, 10, 1], jnp.int32)
        return Example(image, label, params.attrs, None, params.index)

    @property
    def _single(self) -> GreyDigits:
        return GreyDigits(self.seed, self.split, None, self.size, self.edges, glyphs=self.glyphs, jitter=self.jitter)


def _turn(v: Scalars) -> tuple[jax.Array, jax.Array]:
    return jnp.cos(v["rotation"]), jnp.sin(v["rotation"])


def _placed(v: Scalars, points: jax.Array) -> jax.Array:
    """Glyph points `[V, 2]` in the picture: scaled, sheared, turned, shifted."""
    cos, sin = _turn(v)
    y = v["scale_y"] * points[:, 1]
    x = v["scale_x"] * points[:, 0] + v["shear"] * y
    return jnp.stack([cos * x - sin * y + v["shift_x"], sin * x + cos * y + v["shift_y"]], 1)


def _glyph_frame(v: Scalars, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Picture coordinates in the glyph's frame: the inverse of `_placed`."""
    cos, sin = _turn(v)
    x, y = x - v["shift_x"], y - v["shift_y"]
    x, y = cos * x + sin * y, cos * y - sin * x
    return (x - v["shear"] * y) / v["scale_x"], y / v["scale_y"]
