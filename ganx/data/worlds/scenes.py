"""`world:scenes`: landscapes in which objects come and go with known frequency."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import jax
import jax.numpy as jnp

from ganx.data.worlds import options, painter, shapes
from ganx.data.worlds.base import compiled
from ganx.data.worlds.oracle import Colours
from ganx.data.worlds.painter import Layer
from ganx.data.worlds.picture import PictureWorld, Scalars
from ganx.data.worlds.priors import Tables
from ganx.errors import GanxError

FREQUENCY: dict[str, float] = {
    "road": 0.4, "sun": 0.5, "cloud": 0.5, "mountain": 0.4, "house": 0.8,
    "tree": 0.7, "fence": 0.4, "person": 0.4, "car": 0.3,
}  # fmt: skip
"""How often each object is there, unless `freq` says otherwise."""

RANGES: dict[str, tuple[float, float]] = {
    "horizon": (0.15, 0.12),
    "sun_x": (0.0, 0.7),
    "sun_y": (-0.68, 0.10),
    "sun_radius": (0.15, 0.04),
    "cloud_gap": (0.75, 0.30),
    "cloud_y": (-0.50, 0.15),
    "cloud_size": (1.0, 0.15),
    "peak1_x": (-0.50, 0.35),
    "peak1_height": (0.54, 0.12),
    "peak2_x": (0.45, 0.35),
    "peak2_height": (0.44, 0.12),
    "road_far": (0.0, 0.5),
    "road_near": (0.0, 0.6),
    "house_x": (0.0, 0.5),
    "house_width": (0.32, 0.06),
    "house_height": (0.20, 0.04),
    "door_side": (0.0, 1.0),
    "tree_gap": (0.5, 0.5),
    "tree_size": (0.80, 0.25),
    "fence_phase": (0.08, 0.08),
    "person_x": (0.0, 0.85),
    "person_foot": (0.84, 0.10),
    "car_x": (0.0, 0.75),
    "car_y": (0.84, 0.06),
}
"""Middle and half range of each number, in units of the frame; of a side only the sign counts."""

TINT = 5.0
"""Standard deviation of each class's tint in each picture and channel, of 255."""

GRAIN = 6
"""Largest step up or down of the noise on every pixel, of 255."""


@dataclasses.dataclass(frozen=True)
class Scenes(PictureWorld):
    """Landscapes. `params.values` holds `RANGES` by name, `tint` `[15, 3]` and the `grain`'s seed.

    Attributes:
      freq: share of pictures that show an object, by object; see `FREQUENCY`.
    """

    NAME: ClassVar[str] = "scenes"
    LENGTH: ClassVar[int] = 100_000
    ATTRS: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(FREQUENCY, ("no", "yes"))
    CLASSES: ClassVar[tuple[str, ...]] = (
        "sky", "ground", "road", "sun", "cloud", "mountain", "wall", "roof", "door", "window",
        "trunk", "crown", "fence", "person", "car",
    )  # fmt: skip
    OBJECTS: ClassVar[dict[str, tuple[str, ...]]] = {name: (name,) for name in FREQUENCY} | {
        "house": ("wall", "roof", "door", "window"),
        "tree": ("trunk", "crown"),
    }
    PALETTE: ClassVar[Colours] = {
        "sky": ((140, 210, 253),),
        "ground": ((111, 201, 98),),
        "road": ((86, 101, 122),),
        "sun": ((245, 245, 25),),
        "cloud": ((255, 255, 255),),
        "mountain": ((165, 120, 198),),
        "wall": ((243, 155, 100),),
        "roof": ((191, 29, 61),),
        "door": ((79, 35, 5),),
        "window": ((10, 29, 142),),
        "trunk": ((142, 116, 33),),
        "crown": ((7, 107, 51),),
        "fence": ((214, 237, 160),),
        "person": ((240, 54, 164),),
        "car": ((28, 202, 180),),
    }

    freq: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        self._settle("freq", options.numbers("freq", self.freq, FREQUENCY))
        super().__post_init__()

    @property
    def numbers(self) -> int:
        """One for each range, one for the grain, and one for each class and channel."""
        return len(RANGES) + 1 + 3 * len(self.CLASSES)

    def values(self, u: jax.Array) -> dict[str, jax.Array]:
        """Geometry uniform over its ranges, tints normal."""
        values = {name: middle + half * (2 * u[i] - 1) for i, (name, (middle, half)) in enumerate(RANGES.items())}
        tint = jnp.clip(jax.scipy.special.ndtri(u[len(RANGES) + 1 :]), -4, 4).reshape(-1, 3)
        return {**values, "grain": u[len(RANGES)], "tint": TINT * tint}

    def layers(self, attrs: Scalars, values: Scalars, pixels: tuple[jax.Array, jax.Array]) -> list[Layer]:
        """The shapes of one landscape, back to front."""
        palette = jnp.asarray([self.PALETTE[part][0] for part in self.CLASSES], jnp.float32)
        colours = jnp.clip(jnp.round(palette + values["tint"]), 0, 255).astype(jnp.int32)
        owner = {part: name for name, parts in self.OBJECTS.items() for part in parts}
        found = [*_far(values, *pixels), *_near(values, *pixels)]
        return [
            Layer(distance, colours[i], i, attrs[owner[part]] == 1 if part in owner else True)
            for part, distance in found
            for i in [self.CLASSES.index(part)]
        ]

    @compiled
    def read(self, images: jax.Array) -> dict[str, jax.Array]:
        """Which objects are there, by counting pixels of their classes: int32 `[n]` by object."""
        counts = self.palette.counts(images)
        least = 3 * (self.size / 64) ** 2
        found = {}
        for name, parts in self.OBJECTS.items():
            pixels = jnp.stack([self.palette.total(counts, part) for part in parts]).sum(0)
            found[name] = (pixels > least).astype(jnp.int32)
        return found

    def _tables(self) -> Tables:
        given = {name for about, _ in self.prior for name in about}
        for name, _ in self.freq:
            if name in given:
                raise GanxError(f"both prior and freq speak of {name!r}; leave one of them out")
        shares = {name: share for name, share in (FREQUENCY | dict(self.freq)).items() if name not in given}
        return self.prior + tuple(((name,), (1 - share, share)) for name, share in shares.items())

    def _paint(self, attrs: Scalars, values: Scalars) -> jax.Array:
        return painter.grain(super()._paint(attrs, values), values["grain"], GRAIN)


Found = Iterator[tuple[str, jax.Array]]
"""Class names with distances, back to front."""


def _far(v: Scalars, x: jax.Array, y: jax.Array) -> Found:
    """All that lies at the horizon or above it, then the ground and the road."""
    horizon, far, near = v["horizon"], v["road_far"], v["road_near"]
    yield "sky", jnp.zeros_like(x)
    yield "sun", shapes.disc(x, y, v["sun_x"], v["sun_y"], v["sun_radius"])
    # On the sun's roomier side, so that a cloud never hides it all.
    cx, cy, size = v["sun_x"] - jnp.sign(v["sun_x"]) * v["cloud_gap"], v["cloud_y"], v["cloud_size"]
    puffs = [(-0.17, 0.03, 0.11), (0.0, -0.02, 0.15), (0.17, 0.02, 0.12)]
    yield "cloud", _union(shapes.disc(x, y, cx + a * size, cy + b * size, r * size) for a, b, r in puffs)
    peaks = [(v["peak1_x"], 0.55, v["peak1_height"]), (v["peak2_x"], 0.5, v["peak2_height"])]
    yield "mountain", _union(shapes.triangle(x, y, at, horizon, half, height) for at, half, height in peaks)
    yield "ground", horizon - y
    depth = (y - horizon) * (1 / (1 - horizon))
    yield "road", jnp.maximum(jnp.abs(x - far - (near - far) * depth) - 0.04 - 0.26 * depth, horizon - y)


def _near(v: Scalars, x: jax.Array, y: jax.Array) -> Found:
    """Tree, house, fence, car and person."""
    horizon, hx, hw, hh = (v[name] for name in ("horizon", "house_x", "house_width", "house_height"))
    foot, size, away = horizon + 0.18, v["tree_size"], -jnp.sign(hx)
    # On the house's roomier side, between its wall and the edge of the picture, so that it never hides a tree.
    beside = hx + away * (hw + 0.12)
    tx = beside + v["tree_gap"] * (0.88 * away - beside)
    yield "trunk", shapes.box(x, y, tx, foot - 0.15 * size, 0.035, 0.15 * size)
    yield "crown", shapes.disc(x, y, tx, foot - 0.3 * size, 0.22 * size)
    base, side = horizon + 0.28, jnp.sign(v["door_side"])
    yield "wall", shapes.box(x, y, hx, base - hh, hw, hh)
    yield "roof", shapes.triangle(x, y, hx, base - 2 * hh, hw + 0.08, 0.26)
    yield "door", shapes.box(x, y, hx + side * 0.45 * hw, base - 0.14, 0.06, 0.14)
    yield "window", shapes.box(x, y, hx - side * 0.42 * hw, base - hh - 0.03, 0.07, 0.07)
    yield "fence", _fence(x, y, base + 0.13, v["fence_phase"])
    cx, cy = v["car_x"], v["car_y"]
    cabin = shapes.box(x, y, cx, cy - 0.12, 0.11, 0.07, 0.03)
    yield "car", jnp.minimum(shapes.box(x, y, cx, cy, 0.2, 0.07, 0.03), cabin)
    px, stand = v["person_x"], v["person_foot"]
    head = shapes.disc(x, y, px, stand - 0.38, 0.08)
    yield "person", jnp.minimum(shapes.box(x, y, px, stand - 0.15, 0.05, 0.15), head)


def _fence(x: jax.Array, y: jax.Array, middle: jax.Array, phase: jax.Array) -> jax.Array:
    """Pickets 0.16 apart and two rails, from edge to edge."""
    off = jnp.abs(y - middle)
    pickets = jnp.maximum(jnp.abs(jnp.mod(x + phase, 0.16) - 0.08) - 0.03, off - 0.11)
    return jnp.minimum(pickets, jnp.abs(off - 0.05) - 0.02)


def _union(distances: Iterator[jax.Array]) -> jax.Array:
    first, *rest = distances
    for distance in rest:
        first = jnp.minimum(first, distance)
    return first
