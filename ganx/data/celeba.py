"""`celeba:`: the folder of the CelebA release, with its 40 attributes and its split."""

from __future__ import annotations

import numpy as np
from etils import epath

from ganx.data.attributes import FLAG
from ganx.data.images import DecodeError, reason
from ganx.data.licences import LICENCES
from ganx.data.listing import ListedReader, Listing
from ganx.data.options import Options
from ganx.data.places import open_path
from ganx.data.reader import Table, pick_split
from ganx.errors import GanxError

_SPLITS = ("train", "validation", "test")


def celeba_reader(place: str, options: Options) -> ListedReader:
    """Reads `img_align_celeba/` with `list_attr_celeba.txt` and `list_eval_partition.txt` beside it.

    Both tables are also looked for in `Anno/` and `Eval/`, where the release has them. Without a partition there is
    only `split=all`.

    Raises:
      GanxError: if a part is missing, or a table cannot be read.
    """
    root = open_path(place)
    pictures = _pictures(place, root)
    path = _find(root, "list_attr_celeba.txt")
    if path is None:
        raise GanxError(f"no list_attr_celeba.txt in {place}; put it beside img_align_celeba")
    files, attrs = _attributes(path)
    rows = _rows(_find(root, "list_eval_partition.txt"), files, options.split)

    def read(name: str) -> bytes:
        try:
            return (pictures / name).read_bytes()
        except OSError as error:
            raise DecodeError(f"cannot read {pictures / name}: {reason(error)}; check the file") from None

    listing = Listing(
        files=tuple(files[i] for i in rows),
        masks=(None,) * len(rows),
        table=Table(np.full(len(rows), -1), {name: column[rows] for name, column in attrs.items()}),
        labels=(),
        attrs=dict.fromkeys(attrs, FLAG),
        mask_names=(),
    )
    return ListedReader(str(pictures), listing, read, options, LICENCES["celeb_a"])


def _pictures(place: str, root: epath.Path) -> epath.Path:
    folder = root / "img_align_celeba"
    if not folder.is_dir():
        raise GanxError(f"no folder img_align_celeba in {place}; unpack img_align_celeba.zip there")
    inner = folder / "img_align_celeba"
    return inner if inner.is_dir() else folder


def _find(root: epath.Path, name: str) -> epath.Path | None:
    return next((path for folder in ("", "Anno", "Eval") if (path := root / folder / name).is_file()), None)


def _attributes(path: epath.Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """File names, and each attribute's flags, int32 `[n]`: the table has -1 and 1."""
    _, header, *lines = path.read_text().splitlines() or ("", "")
    names = header.split()
    rows = [line.split() for line in lines if line.strip()]
    if not rows or any(len(row) != len(names) + 1 or set(row[1:]) - {"-1", "1"} for row in rows):
        raise GanxError(f"{path} is not CelebA's table of attributes; each row should be a file and {len(names)} of ±1")
    table = np.array([row[1:] for row in rows]) == "1"
    return [row[0] for row in rows], {name: table[:, i].astype(np.int32) for i, name in enumerate(names)}


def _rows(path: epath.Path | None, files: list[str], asked: str | None) -> np.ndarray:
    if path is None and asked in (None, "all"):
        return np.arange(len(files))
    if path is None:
        raise GanxError(f"split={asked} needs list_eval_partition.txt, which is not there; use split=all")
    part = dict(line.split() for line in path.read_text().splitlines() if line.strip())
    split = pick_split(asked, _SPLITS)
    if split == "all":
        return np.arange(len(files))
    return np.array([i for i, name in enumerate(files) if part.get(name) == str(_SPLITS.index(split))], np.int64)
