"""From raw examples, however they are stored, to a `Source`: preparation, attributes, bad files."""

from __future__ import annotations

import dataclasses
import logging
import threading
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from ganx.data import attributes
from ganx.data.example import Example, SourceSpec
from ganx.data.images import DecodeError, SizeError
from ganx.data.options import Options
from ganx.errors import GanxError, unknown

log = logging.getLogger("ganx")


@dataclasses.dataclass(frozen=True)
class Raw:
    """One stored example before preparation.

    Attributes:
      image: uint8 `[h, w, 1 or 3]`.
      label: int32 class index, -1 for none.
      attrs: int32 value by attribute name, -1 where not known.
      mask: uint8 `[h, w]`, or None.
    """

    image: np.ndarray
    label: Any = -1
    attrs: dict[str, Any] = dataclasses.field(default_factory=dict)
    mask: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Stored:
    """What a reader knows about its examples without reading them all.

    Attributes:
      shape: shape of one picture, (H, W, C); pictures of another size are refused unless a size is asked for.
      labels: names of the classes; empty if there are none.
      attrs: names of each attribute's values, by attribute name.
      masks: class names of the masks; empty if there are none.
      licence: terms of use, one line; "" if not stated.
    """

    shape: tuple[int, int, int]
    labels: tuple[str, ...] = ()
    attrs: attributes.Names = dataclasses.field(default_factory=dict)
    masks: tuple[str, ...] = ()
    licence: str = ""


class Reader(Protocol):
    """Random access to stored examples, from any thread."""

    @property
    def stored(self) -> Stored:
        """What is known about all of them."""

    def __len__(self) -> int:
        """How many there are."""

    def name(self, index: int) -> str:
        """What to call an example in a message: its file, or its number."""

    def read(self, index: int) -> Raw:
        """One example. Raises `DecodeError` if its picture is broken."""


@runtime_checkable
class ArrayReader(Reader, Protocol):
    """A reader that has its examples as arrays, and reads many at the price of one."""

    def gather(self, indices: np.ndarray) -> Raw:
        """Examples at `indices`, int `[n]`, with a leading axis on every array."""


class PreparedSource:
    """A `Source` over a reader. Safe to use from many threads.

    A picture that cannot be decoded raises a `DecodeError` that names its file. With `skip` it is reported once and
    the next good example, in the order of the source and wrapping at its end, takes its place, index and
    label included: the same one in every run.

    Attributes:
      skipped: names of the files that could not be decoded so far.
    """

    def __init__(self, name: str, reader: Reader, options: Options) -> None:
        self.reader = reader
        self.options = options
        self.skipped: list[str] = []
        self._bad: set[int] = set()
        self._lock = threading.Lock()
        stored = reader.stored
        self._chosen = attributes.choose(options.attrs, stored.attrs)
        self._label = attributes.choose(options.label, stored.attrs)[0] if options.label else None
        probe = _prepared_shape(name, options, stored.shape)
        self._spec = SourceSpec(
            name=name,
            shape=probe,
            labels=self._label.values if self._label else stored.labels,
            attrs={chosen.name: chosen.values for chosen in self._chosen},
            masks=_mask_names(options, stored.masks),
            licence=stored.licence,
        )

    @property
    def spec(self) -> SourceSpec:
        """What is known without reading an example."""
        return self._spec

    def __len__(self) -> int:
        return len(self.reader)

    def skipping(self) -> PreparedSource:
        """The same source, with broken pictures replaced rather than fatal."""
        options = dataclasses.replace(self.options, skip=True)
        return PreparedSource(self._spec.name, self.reader, options)

    def __getitem__(self, index: int) -> Example:
        """One example, as numpy arrays; IndexError outside [0, len)."""
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is outside this source of {len(self)} examples")
        if not self.options.skip:
            return self._prepare(index)
        for candidate in [*range(index, len(self)), *range(index)]:
            if candidate in self._bad:
                continue
            try:
                return self._prepare(candidate)
            except DecodeError as error:
                self._report(candidate, error)
        raise GanxError(f"no picture of {self._spec.name} can be decoded")

    def gather(self, indices: np.ndarray) -> Example:
        """The examples at `indices`, int `[n]`, as one batch of numpy arrays."""
        if isinstance(self.reader, ArrayReader):
            batch = self._gather_arrays(self.reader, np.asarray(indices))
            if batch is not None:
                return batch
        examples = [self[int(index)] for index in indices]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *examples)

    def _prepare(self, index: int) -> Example:
        raw = self.reader.read(index)
        prepare = self.options.preparation
        try:
            image = prepare.image(raw.image)
        except SizeError as error:
            raise GanxError(f"{self.reader.name(index)} {error}") from None
        if image.shape != self._spec.shape:
            raise self._odd_one(index, image)
        label = self._label.pick(raw.attrs) if self._label else raw.label
        return Example(
            image=image,
            label=np.int32(label),
            attrs={chosen.name: np.int32(chosen.pick(raw.attrs)) for chosen in self._chosen},
            mask=self._mask(index, raw),
            index=np.int32(index),
        )

    def _gather_arrays(self, reader: ArrayReader, indices: np.ndarray) -> Example | None:
        try:
            raw = reader.gather(indices)
        except DecodeError:
            return None  # one by one, so that the message or the replacement is about the damaged one
        images = self.options.preparation.batch(raw.image)
        if images is None or self._spec.masks:
            return None
        label = self._label.pick(raw.attrs) if self._label else raw.label
        attrs = {chosen.name: chosen.pick(raw.attrs) for chosen in self._chosen}
        return Example(images, np.asarray(label, np.int32), attrs, None, indices.astype(np.int32))

    def _mask(self, index: int, raw: Raw) -> np.ndarray | None:
        if not self._spec.masks:
            return None
        if raw.mask is None:
            return np.full(self._spec.shape[:2], 255, np.uint8)
        if raw.mask.shape != raw.image.shape[:2]:
            sides = [f"{w}x{h}" for h, w in (raw.mask.shape, raw.image.shape[:2])]
            raise GanxError(f"the mask of {self.reader.name(index)} is {sides[0]}, its picture {sides[1]}")
        mask = raw.mask
        if self.options.ignore is not None:
            mask = np.where(mask == self.options.ignore, np.uint8(255), mask)
        return self.options.preparation.mask(mask)

    def _odd_one(self, index: int, image: np.ndarray) -> GanxError:
        name, (h, w, c), (height, width, channels) = self.reader.name(index), image.shape, self._spec.shape
        if (h, w) == (height, width):
            kinds = {1: "grey", 3: "RGB"}
            return GanxError(f"{name} is {kinds[c]}, others are {kinds[channels]}; add channels=3 to the source")
        return GanxError(f"{name} is {w}x{h}, others are {width}x{height}; add size=N (and crop=) to the source")

    def _report(self, index: int, error: DecodeError) -> None:
        with self._lock:
            if index not in self._bad:
                self._bad.add(index)
                self.skipped.append(self.reader.name(index))
                log.warning("skipped: %s", str(error).partition(";")[0])


class Table:
    """Labels and attributes of all examples of a reader, in memory.

    Attributes:
      labels: int32 `[n]`, -1 for none.
      attrs: int32 `[n]` by attribute name.
    """

    def __init__(self, labels: np.ndarray, attrs: attributes.Columns | None = None) -> None:
        self.labels = labels.astype(np.int32)
        self.attrs = attrs or {}

    def row(self, index: int | np.ndarray) -> dict[str, Any]:
        """Label and attributes of one example, or of several, as arguments of `Raw`."""
        return {"label": self.labels[index], "attrs": {name: column[index] for name, column in self.attrs.items()}}


def pick_split(asked: str | None, known: tuple[str, ...]) -> str:
    """The split asked for, or "train", or the only one; "all" is always there.

    Raises:
      GanxError: naming the nearest, for a split that is not there.
    """
    if asked is None:
        return "train" if "train" in known else known[0] if len(known) == 1 else "all"
    if asked != "all" and asked not in known:
        raise unknown("split", asked, (*known, "all"))
    return asked


def _prepared_shape(name: str, options: Options, shape: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return options.preparation.image(np.zeros(shape, np.uint8)).shape
    except SizeError as error:
        raise GanxError(f"a picture of {name} {error}") from None


def _mask_names(options: Options, found: tuple[str, ...]) -> tuple[str, ...]:
    names = options.masks or found
    if options.masks and not found:
        raise GanxError("this source has no masks, so masks= has nothing to name; leave it out")
    if options.ignore == len(names) - 1:
        names = names[:-1]
    return names
