"""`record:`: ganx's own prepared form, made to be read at random and fast.

A folder with

    meta.json                     what it is: count, shape, names, licence, preparation, checksums of the shards
    data-00000-of-00003.array_record (or .npy)   pictures: raw uint8, in PNG above 256x256; one record each
    data-00000-of-00003.npz       beside each: label, index in the original, attr_NAME, mask

Where array_record does not exist (Windows), shards are memory-mapped npy files of raw pictures.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ganx.data.images import DecodeError, decode, encode_png, reason
from ganx.data.npz import load_npz
from ganx.data.options import Options
from ganx.data.reader import Raw, Stored, Table
from ganx.errors import GanxError

META = "meta.json"
FORMAT = 1
STORAGES = ("array_record", "npy")
RAW_SIDE = 256
"""Pictures with a longer side are stored as PNG."""


@dataclasses.dataclass(frozen=True)
class Meta:
    """What `meta.json` holds.

    Attributes:
      shape: shape of one picture, (H, W, C).
      storage: "array_record" or "npy".
      encoding: "raw" or "png".
      labels, attrs, masks, licence: as in `SourceSpec`.
      source: the source string the records were made from, preparation included.
      sha256: of the list of the original's examples, one name a line.
      skipped: names of the originals that could not be decoded and were left out.
      shards: [{"file", "count", "sha256"}].
    """

    shape: tuple[int, int, int]
    storage: str
    encoding: str
    labels: tuple[str, ...]
    attrs: dict[str, tuple[str, ...]]
    masks: tuple[str, ...]
    licence: str
    source: str
    sha256: str
    skipped: tuple[str, ...] = ()
    shards: tuple[dict[str, Any], ...] = ()

    @property
    def count(self) -> int:
        """Number of examples."""
        return sum(shard["count"] for shard in self.shards)

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        document = {"format": FORMAT, "count": self.count, **dataclasses.asdict(self)}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(document, indent=1) + "\n")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Meta:
        """Reads the file. Raises `GanxError` if it is missing, damaged or of another version."""
        try:
            document = json.loads(path.read_text())
            version = document.pop("format")
            del document["count"]
            if version != FORMAT:
                raise GanxError(f"{path} has format {version}, this ganx reads {FORMAT}; prepare the data again")
            document["attrs"] = {name: tuple(values) for name, values in document["attrs"].items()}
            settled: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in document.items()}
            return cls(**settled)
        except FileNotFoundError:
            raise GanxError(f"no {path}; give a folder that `ganx data prepare` has finished") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise GanxError(f"cannot read {path}: {reason(error)}; prepare the data again") from None


class _Store(Protocol):
    """The pictures of all shards."""

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray) -> list[Any]:
        """Stored bytes or arrays. Raises `DecodeError` for a damaged record."""


class RecordReader:
    """A `Reader` of prepared records."""

    def __init__(self, root: Path, meta: Meta, store: _Store, sides: list[dict[str, np.ndarray]]) -> None:
        self._root = root
        self._meta = meta
        self._store = store
        labels = np.concatenate([side["label"] for side in sides])
        attrs = {name: np.concatenate([side[f"attr_{name}"] for side in sides]) for name in meta.attrs}
        self._table = Table(labels, attrs)
        self._masks = np.concatenate([side["mask"] for side in sides]) if meta.masks else None
        self.stored = Stored(meta.shape, meta.labels, meta.attrs, meta.masks, meta.licence)

    def __len__(self) -> int:
        return len(self._store)

    def name(self, index: int) -> str:
        """The folder and the record's number."""
        return f"{self._root}[{index}]"

    def read(self, index: int) -> Raw:
        """One example. Raises `DecodeError` if its record is damaged."""
        raw = self.gather(np.array([index]))
        mask = None if raw.mask is None else raw.mask[0]
        return Raw(raw.image[0], mask=mask, **self._table.row(index))

    def gather(self, indices: np.ndarray) -> Raw:
        """Several examples, with a leading axis. Raises `DecodeError` if one of their records is damaged."""
        stored = self._store.take(indices)
        if self._meta.encoding == "png":
            images = np.stack([decode(data, self.name(int(i))) for data, i in zip(stored, indices, strict=True)])
        else:
            images = np.stack([np.frombuffer(data, np.uint8) for data in stored]).reshape(-1, *self._meta.shape)
        mask = None if self._masks is None else self._masks[indices]
        return Raw(images, mask=mask, **self._table.row(indices))


def record_reader(place: str, options: Options) -> RecordReader:
    """Opens a folder that `ganx.data.prepare` wrote.

    Raises:
      GanxError: if the folder is unfinished or damaged, or lies in a bucket.
    """
    if "://" in place:
        raise GanxError(f"{place} cannot be read at random from a bucket; copy the folder to a local disk first")
    if options.split not in (None, "all"):
        raise GanxError(f"split={options.split}: records hold one split; prepare the other one into its own folder")
    root = Path(place).expanduser()
    meta = Meta.load(root / META)
    paths = [root / shard["file"] for shard in meta.shards]
    for path in paths:
        if not path.is_file():
            raise GanxError(f"{path} is missing; prepare the data again, or copy the whole folder")
    store: _Store = _ArrayRecords(paths) if meta.storage == "array_record" else _Mapped(paths)
    if len(store) != meta.count:
        raise GanxError(f"{place} holds {len(store)} records, {META} says {meta.count}; prepare the data again")
    return RecordReader(root, meta, store, [load_npz(str(path.with_suffix(".npz"))) for path in paths])


def default_storage() -> str:
    """ "array_record" where that package exists, else "npy"."""
    return "array_record" if importlib.util.find_spec("array_record") else "npy"


def encoding(shape: tuple[int, ...], storage: str) -> str:
    """How pictures of a shape are stored: "raw" or "png"."""
    return "png" if storage == "array_record" and max(shape[:2]) > RAW_SIDE else "raw"


def write_pictures(path: Path, images: np.ndarray, storage: str, kind: str) -> None:
    """Writes one shard of pictures, uint8 `[n, H, W, C]`, as `storage` with encoding `kind`."""
    if storage == "npy":
        with path.open("wb") as file:
            np.save(file, images)
        return
    writer = _array_record("array_record_module").ArrayRecordWriter(str(path), "group_size:1,uncompressed")
    for image in images:
        writer.write(encode_png(image) if kind == "png" else image.tobytes())
    writer.close()


class _ArrayRecords:
    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        try:
            self._source = _array_record("array_record_data_source").ArrayRecordDataSource([str(p) for p in paths])
            self._length = len(self._source)
        except (RuntimeError, ValueError) as error:
            raise GanxError(
                f"cannot read the records in {paths[0].parent}: {reason(error)}; prepare them again"
            ) from None

    def __len__(self) -> int:
        return self._length

    def take(self, indices: np.ndarray) -> list[Any]:
        try:
            return list(self._source.__getitems__([int(index) for index in indices]))
        except RuntimeError as error:
            which = f"record {indices[0]}" if len(indices) == 1 else "a record"
            raise DecodeError(
                f"{which} in {self._paths[0].parent} is damaged: {reason(error)}; prepare it again"
            ) from None


class _Mapped:
    def __init__(self, paths: list[Path]) -> None:
        try:
            self._maps = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
        except (OSError, ValueError, EOFError) as error:
            raise GanxError(f"cannot map {paths[0].parent}: {reason(error)}; prepare the data again") from None
        self._starts = np.cumsum([0, *map(len, self._maps)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, indices: np.ndarray) -> list[Any]:
        shards = np.searchsorted(self._starts, indices, side="right") - 1
        return [self._maps[shard][index - self._starts[shard]] for shard, index in zip(shards, indices, strict=True)]


def _array_record(module: str) -> Any:
    try:
        return importlib.import_module(f"array_record.python.{module}")
    except ImportError:
        raise GanxError(
            "these records need the package array-record; install it with: pip install array-record"
        ) from None
