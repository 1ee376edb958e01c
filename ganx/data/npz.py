"""`npz:`: small sets that are one array."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from ganx.data import attributes
from ganx.data.images import reason
from ganx.data.licences import NOT_STATED
from ganx.data.options import Options
from ganx.data.places import open_path
from ganx.data.reader import Raw, Stored, Table, pick_split
from ganx.errors import GanxError

_IMAGES = {"": ("images", "x"), "train": ("x_train",), "test": ("x_test",), "validation": ("x_val", "x_validation")}


class PixelReader:
    """A `Reader` of pictures in one array, in memory or memory-mapped."""

    def __init__(
        self,
        where: str,
        images: np.ndarray,
        table: Table,
        stored: Stored,
        masks: np.ndarray | None = None,
    ) -> None:
        self._where = where
        self._images = images
        self._table = table
        self._masks = masks
        self.stored = stored

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        """Where the array is, and the example's number."""
        return f"{self._where}[{index}]"

    def read(self, index: int) -> Raw:
        """One example."""
        mask = None if self._masks is None else self._masks[index]
        return Raw(self._images[index], mask=mask, **self._table.row(index))

    def gather(self, indices: np.ndarray) -> Raw:
        """Several examples at once, with a leading axis."""
        mask = None if self._masks is None else self._masks[indices]
        return Raw(self._images[indices], mask=mask, **self._table.row(indices))


def npz_reader(place: str, options: Options) -> PixelReader:
    """Reads `images`, `x`, or `x_train` and `x_test` (uint8 `[n, h, w]` or `[n, h, w, 1 or 3]`) of an npz file.

    Labels are `labels`, `y`, `y_train` …, with their names in `label_names`; `masks` are uint8 `[n, h, w]`, and
    every `attr_NAME` is an attribute. Nothing in the file is unpickled.

    Raises:
      GanxError: if the file is missing, damaged, or does not hold such arrays.
    """
    arrays = load_npz(place)
    key = _images_key(place, arrays, options.split)
    images = _pictures(f"{place}[{key!r}]", arrays[key])
    labels = _labels(place, arrays, key, len(images))
    names = tuple(map(str, arrays.get("label_names", ()))) or tuple(map(str, range(int(labels.max(initial=-1)) + 1)))
    columns = {
        name[len("attr_") :]: _column(place, name, arrays[name], len(images))
        for name in arrays
        if name.startswith("attr_")
    }
    masks = _masks(place, arrays.get("masks"), images)
    stored = Stored(
        shape=images.shape[1:],
        labels=names,
        attrs={name: attributes.numbered(column) for name, column in columns.items()},
        masks=_mask_names(masks),
        licence=NOT_STATED,
    )
    return PixelReader(place, images, Table(labels, columns), stored, masks)


def load_npz(place: str) -> dict[str, np.ndarray]:
    """All arrays of an npz file, without unpickling anything.

    Raises:
      GanxError: if the file is missing or damaged, or holds Python objects.
    """
    path = open_path(place)
    if not path.is_file():
        raise GanxError(f"{place} does not exist; give an npz file with an array 'images'")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if isinstance(arrays, np.ndarray):
                raise ValueError("a single array (npy)")
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, zipfile.BadZipFile, zlib.error, EOFError, AttributeError) as error:
        raise GanxError(f"cannot read {place} as npz: {reason(error)}; save it again with numpy.savez") from None


def _images_key(place: str, arrays: Mapping[str, np.ndarray], asked: str | None) -> str:
    found = {split: key for split, keys in _IMAGES.items() for key in keys if key in arrays}
    if not found:
        raise GanxError(f"{place} holds {', '.join(arrays) or 'nothing'}; it needs 'images', 'x' or 'x_train'")
    if "" in found and asked in (None, "all"):
        return found[""]
    split = pick_split(asked, tuple(name or "all" for name in found))
    if split == "all":
        raise GanxError(f"{place} keeps its splits apart; choose split={' or split='.join(found)}")
    return found[split]


def _pictures(where: str, images: np.ndarray) -> np.ndarray:
    grey = images.ndim == 3
    if images.dtype != np.uint8 or not (grey or (images.ndim == 4 and images.shape[-1] in (1, 3))) or not images.size:
        raise GanxError(
            f"{where} is {images.dtype} {list(images.shape)}; pictures are uint8 [n, h, w] or [n, h, w, 1 or 3]"
        )
    return images[..., None] if grey else images


def _labels(place: str, arrays: Mapping[str, np.ndarray], key: str, n: int) -> np.ndarray:
    name = "labels" if key == "images" else key.replace("x", "y", 1)
    return _column(place, name, arrays[name], n) if name in arrays else np.full(n, -1, np.int32)


def _column(place: str, name: str, values: np.ndarray, n: int) -> np.ndarray:
    values = values.reshape(-1) if values.shape == (n, 1) else values
    if values.shape != (n,) or values.dtype.kind not in "iub" or (n and int(values.min()) < -1):
        raise GanxError(
            f"{place}[{name!r}] is {values.dtype} {list(values.shape)}; it must be {n} whole numbers from -1"
        )
    return values.astype(np.int32)


def _masks(place: str, masks: np.ndarray | None, images: np.ndarray) -> np.ndarray | None:
    if masks is not None and (masks.dtype != np.uint8 or masks.shape != images.shape[:3]):
        raise GanxError(
            f"{place}['masks'] is {masks.dtype} {list(masks.shape)}; it must be uint8 {list(images.shape[:3])}"
        )
    return masks


def _mask_names(masks: np.ndarray | None) -> tuple[str, ...]:
    if masks is None:
        return ()
    return tuple(f"class {i}" for i in range(int(masks[masks < 255].max(initial=0)) + 1))
