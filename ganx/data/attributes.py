"""Labels and attributes of a data set as integer columns, and choosing among them.

attrs=Male,Smiling                                  these two only
attrs=hair(Black_Hair,Blond_Hair,Brown_Hair)        one attribute of three flags, -1 unless exactly one is set
attrs=age(0-12,13-29,30-49,50+)                     one attribute of four ranges
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ganx.errors import GanxError, unknown

Columns = dict[str, np.ndarray]
Names = dict[str, tuple[str, ...]]

FLAG = ("no", "yes")
_LONGEST = 1000
"""Integer columns with more values than this keep their numbers but get no names."""


@dataclasses.dataclass(frozen=True)
class Chosen:
    """One attribute to make: from itself, from flags, or from ranges of numbers.

    Attributes:
      name: of the new attribute.
      flags: the 0/1 attributes it is grouped from.
      ranges: inclusive (low, high) of each value.
      values: names of its values.
    """

    name: str
    flags: tuple[str, ...]
    ranges: tuple[tuple[int, int], ...]
    values: tuple[str, ...]

    def pick(self, attrs: Mapping[str, np.ndarray]) -> np.ndarray:
        """int32 values, of the shape of the columns of `attrs` (scalars or `[n]`), -1 where there is none."""
        if self.flags:
            flags = np.stack([np.asarray(attrs[name]) == 1 for name in self.flags])
            return np.where(flags.sum(0) == 1, flags.argmax(0), -1).astype(np.int32)
        column = np.asarray(attrs[self.name], np.int32)
        if not self.ranges:
            return column
        inside = np.stack([(low <= column) & (column <= high) for low, high in self.ranges])
        return np.where(inside.any(0), inside.argmax(0), -1).astype(np.int32)


def choose(text: str, names: Names) -> list[Chosen]:
    """Reads `attrs=`; "" chooses every attribute as it is.

    Raises:
      GanxError: for an attribute that is not there (the nearest is named) or text that cannot be read.
    """
    if not text:
        return [Chosen(name, (), (), values) for name, values in names.items()]
    return [_chosen(name, inner, names) for name, inner in _split(text)]


def _split(text: str) -> list[tuple[str, str | None]]:
    items = re.findall(r"([^,()]+)(?:\(([^()]*)\))?(?:,|$)", text)
    if ",".join(name + (f"({inner})" if inner else "") for name, inner in items) != text:
        raise GanxError(f"cannot read attrs={text}; write names and groups, such as attrs=Male,hair(Black,Blond)")
    return [(name.strip(), inner or None) for name, inner in items]


def _chosen(name: str, inner: str | None, names: Names) -> Chosen:
    if inner is None:
        if name not in names:
            raise _missing(name, names)
        return Chosen(name, (), (), names[name])
    parts = tuple(part.strip() for part in inner.split(","))
    ranges = [re.fullmatch(r"(\d+)(?:-(\d+)|(\+))?", part) for part in parts]
    if name in names and all(ranges):
        bounds = tuple(_bounds(found) for found in ranges if found)
        return Chosen(name, (), bounds, parts)
    for part in parts:
        if part not in names:
            raise _missing(part, names)
    return Chosen(name, parts, (), parts)


def _bounds(found: re.Match[str]) -> tuple[int, int]:
    low = int(found[1])
    return low, np.iinfo(np.int32).max if found[3] else int(found[2] or low)


def _missing(name: str, names: Names) -> GanxError:
    if not names:
        return GanxError(f"this source has no attributes, so it has no {name!r}; leave attrs= and label= out")
    return unknown("attribute", name, names)


def columns_of_text(table: Mapping[str, Sequence[str]]) -> tuple[Columns, Names]:
    """Integer columns of text ones, with the names of their values.

    Whole numbers stay as they are (-1: not known), unless a column holds -1 and 1 only: then it is a flag, and
    becomes 0 and 1. Anything else is numbered in sorted order; an empty cell is -1.
    """
    columns, names = {}, {}
    for name, cells in table.items():
        columns[name], names[name] = _column(cells)
    return columns, names


def _column(cells: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    cells = [cell.strip() for cell in cells]
    if all(re.fullmatch(r"-?\d{1,9}", cell) or not cell for cell in cells):
        numbers = np.array([int(cell) if cell else -1 for cell in cells], np.int32)
        if set(np.unique(numbers)) == {-1, 1} and "" not in cells:
            numbers = (numbers == 1).astype(np.int32)
        if numbers.min(initial=0) >= -1:
            return numbers, numbered(numbers)
    values = tuple(sorted({cell for cell in cells if cell}))
    position = {value: i for i, value in enumerate(values)} | {"": -1}
    return np.array([position[cell] for cell in cells], np.int32), values


def numbered(column: np.ndarray | Iterable[int]) -> tuple[str, ...]:
    """Names for the values of an integer column: "no" and "yes" for a flag, else the numbers themselves."""
    top = int(np.max(np.asarray(column), initial=-1))
    if top == 1:
        return FLAG
    return tuple(map(str, range(top + 1))) if top < _LONGEST else ()
