"""The one string that names a source: `scheme:place?option=value&option=value`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ganx.data.images import CROPS, FILTERS, RESIZES, Preparation
from ganx.errors import GanxError, unknown

SCHEMES = (
    "world",
    "folder",
    "zip",
    "npz",
    "record",
    "tfds",
    "idx",
    "cifar",
    "celeba",
    "lsun",
)


@dataclasses.dataclass(frozen=True)
class Address:
    """A source string taken apart.

    Attributes:
      scheme: one of `SCHEMES`, "" where the string is a plain path.
      place: what stands between the scheme and the options: a path or a name.
      options: the options as text, in the order given.
    """

    scheme: str
    place: str
    options: dict[str, str]

    @property
    def text(self) -> str:
        """The string that reads back as this address, with its options sorted."""
        given = "&".join(f"{name}={value}" for name, value in sorted(self.options.items()))
        return f"{self.scheme}:{self.place}" + (f"?{given}" if given else "")


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of every source but a world, typed.

    Attributes:
      preparation: crop, resize and channels.
      split: which part of the data; None for what the source takes by itself, "all" for everything.
      attrs: selection of attributes, see `ganx.data.attributes`; "" for all of them.
      label: the attribute that serves as label; "" for the source's own labels.
      masks: class names of the masks; empty to find them.
      ignore: mask index that means "not known" and becomes 255.
      skip: replace images that cannot be decoded rather than fail.
      directory: where TFDS keeps its prepared sets; "" for its default.
    """

    preparation: Preparation
    split: str | None = None
    attrs: str = ""
    label: str = ""
    masks: tuple[str, ...] = ()
    ignore: int | None = None
    skip: bool = False
    directory: str = ""


def parse(text: str) -> Address:
    """Takes a source string apart.

    Raises:
      GanxError: for an option without a value, one given twice, or an unknown scheme.
    """
    body, _, query = text.partition("?")
    scheme, colon, place = body.partition(":")
    if not colon or place.startswith("//") or len(scheme) == 1:  # a plain path, gs://..., C:\...
        scheme, place = "", body
    elif scheme not in SCHEMES:
        raise unknown("kind of source", scheme, SCHEMES)
    if not place:
        raise GanxError(f"the source {text!r} names nothing; write {scheme or 'folder'}:PATH")
    options: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        name, equals, value = item.partition("=")
        if not equals or not value:
            raise GanxError(f"option {name!r} of {text!r} has no value; write {name}=VALUE")
        if name in options:
            raise GanxError(f"option {name!r} of {text!r} is given twice; keep one")
        options[name] = value
    return Address(scheme, place, options)


def typed(options: Mapping[str, str]) -> Options:
    """Reads the options of a source that is not a world.

    Raises:
      GanxError: for an unknown option (the nearest is named) or a value that does not fit.
    """
    for name in options:
        if name not in _READERS:
            raise unknown("option", name, _READERS)
    values = {name: _READERS[name](name, value) for name, value in options.items()}
    shape = {name: values.pop(name) for name in ("size", "crop", "resize", "filter", "channels") if name in values}
    if "on_error" in values:
        values["skip"] = values.pop("on_error") == "skip"
    return Options(Preparation(**shape), **values)


def _choice(choices: Iterable[str]) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in choices:
            raise unknown(f"value for {name}=", text, choices)
        return text

    return read


def _integer(low: int, high: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        if not text.isdigit() or not low <= int(text) <= high:
            raise GanxError(f"{name}={text} does not fit; give a whole number from {low} to {high}")
        return int(text)

    return read


def _size(name: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    sides = [int(side) for side in found.groups() if side] if found else [0]
    if not 1 <= min(sides) <= max(sides) <= 8192:
        raise GanxError(f"size={text} does not fit; give pixels, such as size=64, or WIDTHxHEIGHT")
    return sides[0], sides[-1]


def _crop(name: str, text: str) -> str | int:
    return _integer(1, 65535)(name, text) if text.isdigit() else _choice(CROPS)(name, text)


def _channels(name: str, text: str) -> int:
    if text not in ("1", "3"):
        raise GanxError(f"channels={text} does not fit; give channels=1 (grey) or channels=3 (RGB)")
    return int(text)


def _names(name: str, text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _text(name: str, text: str) -> str:
    return text


_READERS: dict[str, Callable[[str, str], Any]] = {
    "size": _size,
    "crop": _crop,
    "resize": _choice(RESIZES),
    "filter": _choice(FILTERS),
    "channels": _channels,
    "split": _text,
    "attrs": _text,
    "label": _text,
    "masks": _names,
    "ignore": _integer(0, 255),
    "on_error": _choice(("fail", "skip")),
    "directory": _text,
}
