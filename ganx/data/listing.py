"""What the files of a folder or a zip mean: pictures, classes, splits, masks, labels and attributes."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ganx.data import attributes
from ganx.data.images import SUFFIXES, DecodeError, decode, decode_mask, measure, reason
from ganx.data.licences import NOT_STATED
from ganx.data.options import Options
from ganx.data.reader import Raw, Stored, Table, pick_split
from ganx.errors import GanxError

ReadFile = Callable[[str], bytes]
"""Name of a file, relative to the folder or zip -> its content."""

SPLITS = ("train", "test", "val", "valid", "validation")
_SIDE_FILES = ("dataset.json", "labels.csv", "classes.txt")
_FILE_COLUMNS = ("file", "filename", "path", "image")
_STYLEGAN_NAME = re.compile(r"\d{5}/img\d{8}\.\w+")
_PROBES = 1000


@dataclasses.dataclass(frozen=True)
class Listing:
    """The examples that a set of files holds.

    Attributes:
      files: names of the pictures, sorted.
      masks: name of each picture's mask, None where there is none.
      table: labels and attributes.
      labels: class names.
      attrs: names of the attributes' values.
      mask_names: class names of the masks as given by a file; empty if none gives them.
    """

    files: tuple[str, ...]
    masks: tuple[str | None, ...]
    table: Table
    labels: tuple[str, ...]
    attrs: attributes.Names
    mask_names: tuple[str, ...]


def list_examples(where: str, names: Sequence[str], read: ReadFile, split: str | None) -> Listing:
    """Finds the examples among files, by these rules.

    - Pictures are taken by their suffix, in sorted order, whatever the depth; a folder around everything is ignored.
    - Folders `train`, `test`, `val` … at the top are splits; without a choice it is `train`.
    - `<name>annot` beside `<name>` (or `masks` beside `images`) holds the masks, under the same stems.
    - The first folder level is the class, if there are at least two of them. `dataset.json` (StyleGAN's) overrides
      it; so does a `label` column of `labels.csv`, whose other columns are attributes. `file` is its key.
    - `classes.txt` names the masks' classes, one a line.

    Args:
      where: the folder or zip, for messages.
      names: every file in it, with `/` between parts.
      split: a split's name, "all", or None.

    Raises:
      GanxError: if there are no pictures, or a side file cannot be read.
    """
    visible = [name for name in sorted(names) if not re.search(r"(^|/)(\.|__MACOSX/)", name)]
    pictures = [name for name in visible if name.lower().endswith(SUFFIXES)]
    if not pictures:
        raise GanxError(f"no pictures in {where}; it should hold {', '.join(SUFFIXES[:4])} … files, in any folders")
    root = _common_folder(pictures + [name for name in visible if PurePosixPath(name).name in _SIDE_FILES])
    pictures, masks = _pair_masks(pictures, root)
    inner = [name[len(root) :] for name in pictures]
    splits = _splits(inner)
    side = {name[len(root) :]: name for name in visible if name.startswith(root)}
    table, labels, attrs = _describe(where, inner, side, read, splits)
    rows = _rows(inner, splits, split)
    return Listing(
        files=tuple(pictures[i] for i in rows),
        masks=tuple(masks[i] for i in rows),
        table=Table(table.labels[rows], {name: column[rows] for name, column in table.attrs.items()}),
        labels=labels,
        attrs=attrs,
        mask_names=_lines(read(side["classes.txt"])) if "classes.txt" in side else (),
    )


class ListedReader:
    """A `Reader` of pictures in files."""

    def __init__(
        self, where: str, listing: Listing, read: ReadFile, options: Options, licence: str = NOT_STATED
    ) -> None:
        self._where = where
        self._listing = listing
        self._read = read
        shape = self._shape(fixed=options.preparation.fixes_size, channels=options.preparation.channels)
        self.stored = Stored(shape, listing.labels, listing.attrs, self._mask_names(), licence)

    def __len__(self) -> int:
        return len(self._listing.files)

    def name(self, index: int) -> str:
        """The picture's file."""
        return f"{self._where}/{self._listing.files[index]}"

    def read(self, index: int) -> Raw:
        """One example. Raises `DecodeError` if its picture is broken."""
        image = decode(self._read(self._listing.files[index]), self.name(index))
        return Raw(image, mask=self._mask(index), **self._listing.table.row(index))

    def _mask(self, index: int) -> np.ndarray | None:
        name = self._listing.masks[index]
        return None if name is None else decode_mask(self._read(name), f"{self._where}/{name}")

    def _shape(self, fixed: bool, channels: int | None) -> tuple[int, int, int]:
        """Shape of the first picture, once up to `_PROBES` others have been seen to agree with it."""
        shapes: dict[tuple[int, ...], int] = {}
        broken: list[DecodeError] = []
        for index in _spread(len(self), _PROBES):
            try:
                shapes.setdefault(measure(self._read(self._listing.files[index]), self.name(index)), index)
            except DecodeError as error:
                broken.append(error)
        if len(broken) > 1 and not shapes:
            raise GanxError(
                f"none of {len(broken)} pictures of {self._where} can be decoded; {self.name(0)} is the first"
            )
        if not shapes:
            raise broken[0] if broken else GanxError(f"no pictures in {self._where}")
        (height, width, grey), *_ = shapes
        for (h, w, c), index in shapes.items():
            if (h, w) != (height, width) and not fixed:
                raise GanxError(
                    f"{self.name(index)} is {w}x{h}, others are {width}x{height}; add size=N (and crop=) to the source"
                )
            if c != grey and channels is None:
                raise GanxError(f"{self._where} mixes grey and RGB pictures; add channels=3 (or 1) to the source")
        return height, width, grey

    def _mask_names(self) -> tuple[str, ...]:
        """The given names, or numbers up to the highest class of some of the masks."""
        masked = [i for i, name in enumerate(self._listing.masks) if name is not None]
        if not masked or self._listing.mask_names:
            return self._listing.mask_names if masked else ()
        top = 0
        for position in _spread(len(masked), _PROBES // 2):
            mask = self._mask(masked[position])
            assert mask is not None
            top = max(top, int(mask[mask < 255].max(initial=0)))
        return tuple(f"class {i}" for i in range(top + 1))


def _common_folder(names: Sequence[str]) -> str:
    """The folders around all files, "" or ending in "/", unless they are a split."""
    shared = os.path.commonpath([str(PurePosixPath(name).parent) for name in names])
    parts = [part for part in PurePosixPath(shared).parts if part != "."]
    while parts and parts[-1] in SPLITS:
        parts.pop()
    return "".join(part + "/" for part in parts)


def _pair_masks(pictures: list[str], root: str) -> tuple[list[str], list[str | None]]:
    """Pictures without the masks among them, and each one's mask."""
    folders = {_top(name[len(root) :]) for name in pictures} - {""}
    of_masks = {f"{folder}annot": folder for folder in folders if f"{folder}annot" in folders}
    if {"images", "masks"} <= folders:
        of_masks["masks"] = "images"
    mask_of = {}
    for name in pictures:
        inner = name[len(root) :]
        if _top(inner) in of_masks:
            partner = of_masks[_top(inner)] + inner[len(_top(inner)) :]
            mask_of[str(PurePosixPath(partner).with_suffix(""))] = name
    images = [name for name in pictures if _top(name[len(root) :]) not in of_masks]
    return images, [mask_of.get(str(PurePosixPath(name[len(root) :]).with_suffix(""))) for name in images]


def _top(name: str) -> str:
    return name.partition("/")[0] if "/" in name else ""


def _splits(inner: Sequence[str]) -> tuple[str, ...]:
    tops = {_top(name) for name in inner}
    return tuple(name for name in SPLITS if name in tops) if tops <= set(SPLITS) else ()


def _rows(inner: Sequence[str], splits: tuple[str, ...], asked: str | None) -> np.ndarray:
    if asked is None and not splits:
        return np.arange(len(inner))
    split = pick_split(asked, splits or ("train",))
    if split == "all" or not splits:
        return np.arange(len(inner))
    return np.array([i for i, name in enumerate(inner) if _top(name) == split])


def _describe(
    where: str, inner: Sequence[str], side: dict[str, str], read: ReadFile, splits: tuple[str, ...]
) -> tuple[Table, tuple[str, ...], attributes.Names]:
    labels, names = _folder_classes([name.partition("/")[2] if splits else name for name in inner])
    columns: attributes.Columns = {}
    attrs: attributes.Names = {}
    if "dataset.json" in side:
        labels, names, columns, attrs = _stylegan_labels(f"{where}/dataset.json", read(side["dataset.json"]), inner)
    if "labels.csv" in side:
        columns, attrs = _csv_columns(f"{where}/labels.csv", read(side["labels.csv"]), inner)
        if "label" in columns:
            labels, names = columns.pop("label"), attrs.pop("label")
    return Table(labels, columns), names, attrs


def _folder_classes(inner: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    folders = [_top(name) for name in inner]
    names = tuple(sorted(set(folders) - {""}))
    if len(names) < 2 or all(_STYLEGAN_NAME.fullmatch(name) for name in inner):
        return np.full(len(inner), -1, np.int32), ()
    position = {name: i for i, name in enumerate(names)} | {"": -1}
    return np.array([position[folder] for folder in folders], np.int32), names


def _stylegan_labels(
    where: str, data: bytes, inner: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...], attributes.Columns, attributes.Names]:
    """Labels of a `dataset.json`: whole numbers and one-hot lists are classes, other lists of 0 and 1 attributes."""
    try:
        document = json.loads(data)
        given: dict[str, Any] = dict(document.get("labels") or {})
        rows = [given.get(name) for name in inner]
        values = [np.asarray([-1.0] if row is None else row, np.float64).reshape(-1) for row in rows]
    except (ValueError, TypeError, AttributeError) as error:
        raise GanxError(
            f'cannot read {where}: {reason(error)}; it should be {{"labels": [["name.png", 0], …]}}'
        ) from None
    if given and all(row is None for row in rows):
        raise GanxError(f"{where} labels none of the pictures; its names must be relative to the folder it is in")
    widths = {len(value) for value, row in zip(values, rows, strict=True) if row is not None} or {1}
    if len(widths) > 1 or any((value % 1).any() for value in values):
        raise GanxError(f"{where} has labels that are neither classes nor flags; give whole numbers or 0/1 lists")
    width = widths.pop()
    if width == 1:
        labels = np.array([value[0] for value in values], np.int32)
        return labels, _label_names(document, labels), {}, {}
    table = np.stack([value if len(value) == width else np.full(width, -1) for value in values]).astype(np.int32)
    known = table[:, 0] >= 0
    if (table[known].sum(1) == 1).all():
        labels = np.where(known, table.argmax(1), -1).astype(np.int32)
        return labels, _label_names(document, labels), {}, {}
    columns = {f"label{i}": table[:, i] for i in range(width)}
    return (
        np.full(len(inner), -1, np.int32),
        (),
        columns,
        {name: attributes.numbered(column) for name, column in columns.items()},
    )


def _label_names(document: dict[str, Any], labels: np.ndarray) -> tuple[str, ...]:
    names = tuple(map(str, document.get("label_names") or ()))
    top = int(labels.max(initial=-1))
    return names if len(names) > top else tuple(map(str, range(top + 1)))


def _csv_columns(where: str, data: bytes, inner: Sequence[str]) -> tuple[attributes.Columns, attributes.Names]:
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise GanxError(f"cannot read {where}: {reason(error)}; it should be a comma-separated table") from None
    header = list(rows[0]) if rows else []
    key = next((name for name in _FILE_COLUMNS if name in header), None)
    if key is None or any(None in row or None in row.values() for row in rows):
        raise GanxError(f"{where} is no table with a column 'file'; start it with a line such as file,label")
    by_file = {row[key]: row for row in rows}
    if not any(name in by_file for name in inner):
        raise GanxError(f"{where} names none of the pictures; its column {key!r} must hold their relative paths")
    fields = [name for name in header if name != key]
    cells = {field: [by_file.get(name, {}).get(field) or "" for name in inner] for field in fields}
    return attributes.columns_of_text(cells)


def _lines(data: bytes) -> tuple[str, ...]:
    return tuple(line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip())


def _spread(n: int, most: int) -> list[int]:
    """Up to `most` positions in [0, n), the first and the last among them."""
    return sorted({round(position) for position in np.linspace(0, n - 1, min(n, most))})
