"""`world:faces`: faces with attributes, identity and pose, and a class for every part."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ganx.data.worlds import faces_reader, shapes
from ganx.data.worlds.base import compiled
from ganx.data.worlds.oracle import Colours
from ganx.data.worlds.painter import Layer
from ganx.data.worlds.picture import PictureWorld, Scalars

IDENTITY: dict[str, tuple[float, float]] = {
    "face_width": (0.48, 0.06),
    "face_height": (0.62, 0.06),
    "eye_height": (-0.08, 0.05),
    "eye_distance": (0.21, 0.03),
    "eye_size": (0.075, 0.018),
    "nose_length": (0.20, 0.05),
    "nose_width": (0.06, 0.02),
    "mouth_height": (0.33, 0.04),
    "mouth_width": (0.20, 0.04),
    "brow_distance": (0.13, 0.03),
}
"""Middle and half range of each number of an identity, in units of the frame, which spans [-1, 1]."""

POSE: dict[str, tuple[float, float]] = {
    "roll": (0.0, 0.12),
    "scale": (1.0, 0.06),
    "shift_x": (0.0, 0.06),
    "shift_y": (0.0, 0.05),
}
"""Middle and half range of each number of a pose; roll in radians, clockwise."""

SUPER: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("background", ("background",)),
    ("clothes", ("clothes",)),
    ("neck and ears", ("neck", "ears")),
    ("hair", ("hair",)),
    ("skin", ("skin",)),
    ("brows", ("left brow", "right brow")),
    ("eyes", ("left eye", "right eye", "iris")),
    ("nose", ("nose",)),
    ("mouth", ("lips", "teeth")),
    ("glasses", ("glasses",)),
    ("wrinkles", ("wrinkles",)),
)
"""The 11 parts that people name, and the classes that each is made of."""


@dataclasses.dataclass(frozen=True)
class Faces(PictureWorld):
    """Faces. Left and right are those of the picture. `params.values` holds `IDENTITY` and `POSE` by name."""

    NAME: ClassVar[str] = "faces"
    ATTRS: ClassVar[dict[str, tuple[str, ...]]] = {
        "hair": ("black", "blond", "brown", "grey"),
        "smile": ("no", "yes"),
        "glasses": ("no", "yes"),
        "hair_length": ("short", "long"),
        "bangs": ("no", "yes"),
        "wrinkles": ("no", "yes"),
        "skin": ("light", "tan", "dark"),
        "background": ("blue", "green", "purple", "pale"),
        "clothes": ("red", "blue", "green", "orange"),
    }
    CLASSES: ClassVar[tuple[str, ...]] = (
        "background", "clothes", "neck", "hair", "ears", "skin", "left brow", "right brow",
        "left eye", "right eye", "nose", "lips", "glasses", "wrinkles", "iris", "teeth",
    )  # fmt: skip
    OBJECTS: ClassVar[dict[str, tuple[str, ...]]] = {"glasses": ("glasses",), "wrinkles": ("wrinkles",)}
    PALETTE: ClassVar[Colours] = {
        "background": ((86, 167, 230), (109, 213, 104), (184, 150, 231), (184, 205, 245)),
        "clothes": ((238, 68, 24), (39, 46, 160), (5, 113, 78), (255, 161, 18)),
        "hair": ((32, 35, 32), (253, 211, 69), (131, 60, 0), (145, 177, 169)),
        "skin": ((255, 211, 183), (209, 188, 115), (139, 112, 60)),
        "neck": ((215, 144, 165), (181, 115, 114), (82, 75, 55)),
        "nose": ((237, 125, 73),),
        "wrinkles": ((143, 45, 70),),
        "left brow": ((68, 9, 88),),
        "left eye": ((255, 241, 255),),
        "iris": ((0, 112, 145),),
        "lips": ((208, 18, 98),),
        "teeth": ((209, 255, 209),),
        "glasses": ((116, 10, 205),),
    }

    @property
    def numbers(self) -> int:
        """One for each number of identity and pose."""
        return len(IDENTITY) + len(POSE)

    def values(self, u: jax.Array) -> dict[str, jax.Array]:
        """Identity and pose, each uniform over its range."""
        ranges = {**IDENTITY, **POSE}
        return {name: middle + half * (2 * u[i] - 1) for i, (name, (middle, half)) in enumerate(ranges.items())}

    def pixel(self, values: Scalars) -> jax.Array:
        """Side of a pixel in face units."""
        return 2 / self.size / values["scale"]

    def layers(self, attrs: Scalars, values: Scalars, pixels: tuple[jax.Array, jax.Array]) -> list[Layer]:
        """The parts of one face, back to front."""
        x, y = self._upright(values, pixels)
        # Lines are kept just thick enough to be seen at any size, so that every attribute can be read.
        thin = 0.55 * self.pixel(values)
        return [
            *self._behind(attrs, values, x, y),
            *self._skull(attrs, values, x, y),
            *self._marks(attrs, values, x, y, thin),
            *self._eyes(values, x, y),
            *self._mouth(attrs, values, x, y, thin),
            self._glasses(attrs, values, x, y, thin),
        ]

    @compiled
    def oracle(self, images: jax.Array) -> jax.Array:
        """Class of every pixel, uint8 `[n, R, R]`, by its nearest palette colour; images as for any world.

        Some classes share a colour and are told apart by place: left and right brow and eye by the column in
        the middle of brows, eyes and glasses, neck and ears by their distance from the middle of the skin.
        """
        classes = self.palette.classes(images)
        part = {name: classes == i for i, name in enumerate(self.CLASSES)}
        column = (jnp.arange(classes.shape[2], dtype=jnp.float32) + 0.5) * (2 / classes.shape[2])
        paired = part["left brow"] | part["left eye"]
        right = paired & (column > _middle(paired | part["iris"] | part["glasses"], column))
        ears = part["neck"] & (jnp.abs(column - _middle(part["skin"], column)) > 0.32)
        return classes + right + 2 * ears

    def to_super(self, mask: jax.Array) -> jax.Array:
        """The mask in the 11 parts of `SUPER`, uint8 of the same shape; 255 stays 255."""
        table = np.full(256, 255, np.uint8)
        for part, (_, members) in enumerate(SUPER):
            table[[self.CLASSES.index(member) for member in members]] = part
        return jnp.asarray(table)[mask]

    @compiled
    def read(self, images: jax.Array) -> dict[str, jax.Array]:
        """All nine attributes, read off the pixels by fixed rules: int32 `[n]` by name."""
        return faces_reader.read(self.palette, self.CLASSES, images)

    def _upright(self, v: Scalars, pixels: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Pixel coordinates in the face's own frame."""
        x, y = pixels[0] - v["shift_x"], pixels[1] - v["shift_y"]
        cos, sin = jnp.cos(v["roll"]) / v["scale"], jnp.sin(v["roll"]) / v["scale"]
        return cos * x + sin * y, cos * y - sin * x

    def _behind(self, a: Scalars, v: Scalars, x: jax.Array, y: jax.Array) -> list[Layer]:
        fw, fh, long = v["face_width"], v["face_height"], a["hair_length"] == 1
        flowing = shapes.box(x, y, 0.0, 0.25, 0.17 + fw, 0.75, 0.3)
        cropped = shapes.ellipse(x, y, 0.0, -0.18, fw + 0.09, fh - 0.02)
        return [
            self._layer("background", jnp.zeros_like(x), a["background"]),
            self._layer("hair", jnp.where(long, flowing, cropped), a["hair"]),
            self._layer("clothes", shapes.ellipse(x, y, 0.0, 1.12, 0.75, 0.42), a["clothes"]),
            self._layer("neck", shapes.box(x, y, 0.0, 0.72, 0.17, 0.25, 0.1), a["skin"]),
            self._layer("ears", shapes.ellipse(jnp.abs(x), y, fw, v["eye_height"] + 0.1, 0.08, 0.13), a["skin"], ~long),
        ]

    def _skull(self, a: Scalars, v: Scalars, x: jax.Array, y: jax.Array) -> list[Layer]:
        fw, fh = v["face_width"], v["face_height"]
        hairline = jnp.where(a["bangs"] == 1, -0.24, -0.36) + (0.12 / fw**2) * x * x
        crown = jnp.maximum(shapes.ellipse(x, y, 0.0, -0.08, fw + 0.08, fh), y - hairline)
        return [
            self._layer("skin", shapes.ellipse(x, y, 0.0, 0.05, fw, fh), a["skin"]),
            self._layer("hair", crown, a["hair"]),
        ]

    def _marks(self, a: Scalars, v: Scalars, x: jax.Array, y: jax.Array, thin: jax.Array) -> list[Layer]:
        """Wrinkles, brows and nose: all of them strokes."""
        side = jnp.abs(x)
        ex, ey, es, mw, my = (v[k] for k in ("eye_distance", "eye_height", "eye_size", "mouth_width", "mouth_height"))
        corner = ex + 1.25 * es + 0.035
        crow = shapes.segment(side, y, corner, ey + 0.01, corner + 0.05, ey + 0.04, 0.016)
        fold = shapes.segment(side, y, mw + 0.03, my - 0.13, mw + 0.07, my - 0.02, jnp.maximum(0.016, thin))
        by = ey - v["brow_distance"]
        brow = shapes.segment(side, y, ex - 0.085, by, ex + 0.095, by + 0.012, jnp.maximum(0.024, thin))
        nose = shapes.segment(x, y, 0.0, ey + 0.06, 0.0, ey + 0.06 + v["nose_length"], 0.6 * v["nose_width"])
        return [
            self._layer("wrinkles", jnp.minimum(crow, fold), 0, a["wrinkles"] == 1),
            self._layer("left brow", jnp.maximum(brow, x), 0),
            self._layer("right brow", jnp.maximum(brow, -x), 0),
            self._layer("nose", nose, 0),
        ]

    def _eyes(self, v: Scalars, x: jax.Array, y: jax.Array) -> list[Layer]:
        ex, ey, es = v["eye_distance"], v["eye_height"], v["eye_size"]
        white = shapes.ellipse(jnp.abs(x), y, ex, ey, 1.25 * es, es)
        iris = shapes.ellipse(jnp.abs(x), y, ex, ey, 0.6 * es, 0.75 * es)
        return [
            self._layer("left eye", jnp.maximum(white, x), 0),
            self._layer("right eye", jnp.maximum(white, -x), 0),
            self._layer("iris", iris, 0),
        ]

    def _mouth(self, a: Scalars, v: Scalars, x: jax.Array, y: jax.Array, thin: jax.Array) -> list[Layer]:
        smile, inverse = a["smile"] == 1, 1 / v["mouth_width"]
        bend, half = jnp.where(smile, 0.16, -0.02), jnp.where(smile, 0.065, 0.032)
        u = x * inverse
        off, taper = jnp.abs(y - v["mouth_height"] - bend * (0.5 - u * u)), half * (1 - 0.6 * u * u)
        # `off` is measured along y, so a line needs more of it where the mouth runs steeply.
        line = thin * jnp.sqrt(1 + (2 * bend * inverse * u) ** 2)
        ends = jnp.abs(x) - v["mouth_width"]
        return [
            self._layer("lips", jnp.maximum(off - jnp.maximum(taper, line), ends), 0),
            self._layer("teeth", jnp.maximum(off - jnp.minimum(0.45 * taper, taper - line), ends), 0, smile),
        ]

    def _glasses(self, a: Scalars, v: Scalars, x: jax.Array, y: jax.Array, thin: jax.Array) -> Layer:
        side, ex, ey, fw = jnp.abs(x), v["eye_distance"], v["eye_height"], v["face_width"]
        rim = jnp.abs(shapes.ellipse(side, y, ex, ey, 0.155, 0.13))
        # Bridge and temples lie on one line: from rim to rim, and from each rim to the ear.
        bar = jnp.maximum(jnp.abs(y - ey), jnp.maximum(side - fw, 0.155 - jnp.abs(side - ex)))
        return self._layer("glasses", jnp.minimum(rim, bar) - jnp.maximum(0.018, thin), 0, a["glasses"] == 1)

    def _layer(self, part: str, distance: jax.Array, colour: int | jax.Array, shown: bool | jax.Array = True) -> Layer:
        group = self.PALETTE[{"ears": "neck", "right brow": "left brow", "right eye": "left eye"}.get(part, part)]
        colours = jnp.asarray(group, jnp.int32)
        return Layer(distance, colours[colour], self.CLASSES.index(part), shown)


def _middle(where: jax.Array, column: jax.Array) -> jax.Array:
    """Mean column of the pixels in `where`, bool `[n, R, R]`: `[n, 1, 1]`."""
    return (where * column).sum((1, 2), keepdims=True) / jnp.maximum(where.sum((1, 2), keepdims=True), 1)
