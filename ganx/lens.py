"""What a lens is: one way of looking at a `Gan`, and the figures that it may answer with.

    @register("walk", order=20, title="A walk through latent space")
    def walk(gan: Gan, inquiry: Inquiry) -> Section | None:
        ...

A lens returns None where it does not apply. The report imports `ganx.<package>.lens` of every package, so a
lens that lives in such a module needs no other introduction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from ganx.gan import Gan


@dataclasses.dataclass(frozen=True)
class ImageGrid:
    """Pictures in rows and columns.

    Attributes:
      images: uint8 `[rows, columns, H, W, C]`, C 1 or 3.
      caption: one sentence on what is to be seen.
      rows, columns: a label for each row and column; empty for none.
      cell: width at which one picture is meant to be seen, in CSS pixels.
      wrap: whether rows may be broken on a narrow screen, because they mean nothing.
    """

    images: np.ndarray
    caption: str
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    cell: int = 96
    wrap: bool = False

    def __post_init__(self) -> None:
        _check_images(self.images, 5)
        _check_labels(self.rows, self.images.shape[0], "row")
        _check_labels(self.columns, self.images.shape[1], "column")


@dataclasses.dataclass(frozen=True)
class Strips:
    """Pictures along one knob, for several knobs: shown as strips, and behind a slider that turns one knob.

    Attributes:
      images: uint8 `[strips, samples, steps, H, W, C]`.
      titles: name of each strip.
      steps: label of each step; the middle one is where the slider starts.
      caption: one sentence on what is to be seen.
    """

    images: np.ndarray
    titles: tuple[str, ...]
    steps: tuple[str, ...]
    caption: str

    def __post_init__(self) -> None:
        _check_images(self.images, 6)
        _check_labels(self.titles, self.images.shape[0], "strip", required=True)
        _check_labels(self.steps, self.images.shape[2], "step", required=True)


@dataclasses.dataclass(frozen=True)
class Movie:
    """Loops that play side by side.

    Attributes:
      frames: uint8 `[loops, steps, H, W, C]`; the last frame leads back to the first.
      caption: one sentence on what is to be seen.
      fps: frames a second.
    """

    frames: np.ndarray
    caption: str
    fps: float = 12.0

    def __post_init__(self) -> None:
        _check_images(self.frames, 5)


_SCALES = {"bars": ("linear", "sqrt"), "line": ("linear",), "area": ("linear",)}


@dataclasses.dataclass(frozen=True)
class Chart:
    """Bars (one group a label), lines or areas that lie on top of each other, over the same labels.

    Attributes:
      kind: "bars", "line" or "area".
      labels: one for each position.
      series: values `[len(labels)]`, not negative, by series name; the first series is the reference.
      caption: one sentence on what is to be seen.
      errors: half widths of the error bars, by series name; may be empty.
      unit: what the values count, such as "% of pixels".
      scale: "linear", or "sqrt" where small values matter beside large ones (bars only).
    """

    kind: str
    labels: tuple[str, ...]
    series: Mapping[str, np.ndarray]
    caption: str
    errors: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    unit: str = ""
    scale: str = "linear"

    def __post_init__(self) -> None:
        if self.scale not in _SCALES.get(self.kind, ()):
            raise ValueError(f"there is no {self.scale!r} chart of the kind {self.kind!r}")
        for name, values in [*self.series.items(), *self.errors.items()]:
            _check_labels(self.labels, len(values), f"value of {name}", required=True)


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text and numbers under named columns; numbers are shown to three significant digits."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]
    caption: str

    def __post_init__(self) -> None:
        for row in self.rows:
            _check_labels(self.columns, len(row), "column", required=True)


Figure = ImageGrid | Strips | Movie | Chart | Table


@dataclasses.dataclass(frozen=True)
class Section:
    """What a lens saw.

    Attributes:
      lead: one or two plain sentences on what the figures show.
      figures: in the order in which they are shown.
      numbers: what JSON can hold, for `report.json`.
      arrays: raw arrays, for `arrays.npz`.
    """

    lead: str
    figures: tuple[Figure, ...]
    numbers: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Inquiry:
    """What a lens is asked with.

    Attributes:
      key: a key of the lens's own.
      samples: how many images statistics are taken over.
      source: real pictures: the source that the generator was trained on or another one to compare with, "" if unknown.
      path: where the generator was opened from, "" if unknown.
    """

    key: jax.Array
    samples: int = 1000
    source: str = ""
    path: str = ""


@dataclasses.dataclass(frozen=True)
class Lens:
    """A registered lens; `order` is its place in the report, `pictures` what it is for (see `register`)."""

    name: str
    order: int
    title: str
    look: Callable[[Gan, Inquiry], Section | None]
    pictures: bool = True

    def applies(self, gan: Gan) -> bool:
        """Whether it is for such a generator at all."""
        return not self.pictures or (len(gan.spec.latent) == 1 and gan.spec.channels in (1, 3))


_lenses: dict[str, Lens] = {}


def register(name: str, order: int, title: str, pictures: bool = True) -> Callable[[Callable], Callable]:
    """Decorator that adds a lens to every report. A name can be taken once.

    `pictures`: it is for generators that draw pictures from a vector, not for those of points or translators.
    """

    def add(look: Callable[[Gan, Inquiry], Section | None]) -> Callable[[Gan, Inquiry], Section | None]:
        if name in _lenses:
            raise ValueError(f"two lenses are named {name!r}")
        _lenses[name] = Lens(name, order, title, look, pictures)
        return look

    return add


def registered() -> tuple[Lens, ...]:
    """The lenses registered so far, in the order of the report."""
    return tuple(sorted(_lenses.values(), key=lambda lens: (lens.order, lens.name)))


def _check_images(images: np.ndarray, ndim: int) -> None:
    if images.dtype != np.uint8 or images.ndim != ndim or images.shape[-1] not in (1, 3):
        raise ValueError(f"want uint8 pictures with {ndim} axes, the last 1 or 3, not {images.dtype} {images.shape}")


def _check_labels(labels: tuple[str, ...], count: int, what: str, required: bool = False) -> None:
    if len(labels) != count and (labels or required):
        raise ValueError(f"{len(labels)} labels for {count} {what}s")
