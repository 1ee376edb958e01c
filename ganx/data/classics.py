"""`idx:` and `cifar:`: MNIST, its relatives and CIFAR-10 as their authors distribute them."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zlib
from typing import Any, ClassVar

import numpy as np
from etils import epath

from ganx.data.images import reason
from ganx.data.licences import LICENCES
from ganx.data.npz import PixelReader
from ganx.data.options import Options
from ganx.data.places import open_path
from ganx.data.reader import Stored, Table, pick_split
from ganx.errors import GanxError

_IDX = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
_CIFAR = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}


def idx_reader(place: str, options: Options) -> PixelReader:
    """Reads idx files, gzipped or not: a folder of MNIST's four, or one file of images with its labels beside it.

    Raises:
      GanxError: if a file is missing or damaged.
    """
    path = open_path(place)
    if path.is_dir():
        found = {split: file for split, stem in _IDX.items() if (file := _plain_or_gz(path, stem))}
        if not found:
            raise GanxError(f"no {_IDX['train']}.gz in {place}; put MNIST's four files there")
        split = pick_split(options.split, tuple(found))
        paths = list(found.values()) if split == "all" else [found[split]]
    elif path.is_file():
        paths = [path]
    else:
        raise GanxError(f"{place} does not exist; give a folder of idx files, or one file of images")
    images = np.concatenate([read_idx(path, 3) for path in paths])[..., None]
    labels = np.concatenate([_idx_labels(path) for path in paths])
    if len(labels) != len(images):
        raise GanxError(f"{place} has {len(images)} images but {len(labels)} labels; get both files again")
    names = tuple(map(str, range(int(labels.max(initial=-1)) + 1)))
    return PixelReader(place, images, Table(labels), Stored(images.shape[1:], names, licence=_idx_licence(place)))


def read_idx(path: epath.Path, rank: int) -> np.ndarray:
    """The uint8 array of an idx file, gzipped or not.

    Raises:
      GanxError: if it is damaged or of another rank.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise GanxError(f"cannot read {path}: {reason(error)}; get the file again") from None
    if data[:4] != bytes([0, 0, 8, rank]):
        raise GanxError(f"{path} is not an idx file of bytes with {rank} axes; get the file again")
    shape = np.frombuffer(data, ">i4", rank, 4)
    if len(data) != 4 + 4 * rank + int(np.prod(shape, dtype=np.int64)):
        raise GanxError(f"{path} is only part of an idx file; get it again")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _plain_or_gz(folder: epath.Path, stem: str) -> epath.Path | None:
    return next((file for name in (stem, stem + ".gz") if (file := folder / name).is_file()), None)


def _idx_labels(images: epath.Path) -> np.ndarray:
    labels = images.with_name(images.name.replace("images-idx3", "labels-idx1"))
    if labels == images or not labels.is_file():
        return np.full(int(read_idx(images, 3).shape[0]), -1)
    return read_idx(labels, 1).astype(np.int32)


def _idx_licence(place: str) -> str:
    return LICENCES["fashion_mnist" if "fashion" in place.lower() else "mnist"]


def cifar_reader(place: str, options: Options) -> PixelReader:
    """Reads `cifar-10-python.tar.gz` without running anything that its pickles ask for.

    Raises:
      GanxError: if the file is missing or damaged, or its pickles hold more than CIFAR's arrays and lists.
    """
    path = open_path(place)
    if not path.is_file():
        raise GanxError(f"{place} does not exist; give cifar-10-python.tar.gz")
    split = pick_split(options.split, tuple(_CIFAR))
    wanted = [name for part, names in _CIFAR.items() if split in (part, "all") for name in names]
    batches = _unpack(path, (*wanted, "batches.meta"))
    pixels = np.concatenate([_cifar_pixels(path, batches[name]) for name in wanted])
    labels = np.concatenate([np.asarray(batches[name][b"labels"], np.int32) for name in wanted])
    names = tuple(name.decode() for name in batches["batches.meta"][b"label_names"])
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    stored = Stored((32, 32, 3), names, licence=LICENCES["cifar10"])
    return PixelReader(place, np.ascontiguousarray(images), Table(labels), stored)


def _unpack(path: epath.Path, names: tuple[str, ...]) -> dict[str, dict[bytes, Any]]:
    found = {}
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:*") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                content = archive.extractfile(member) if name in names else None
                if content:
                    found[name] = ArrayUnpickler(content.read()).load()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise GanxError(f"cannot read {path}: {reason(error)}; get the file again") from None
    except (pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise GanxError(f"{path} is not CIFAR-10's python archive: {reason(error)}") from None
    missing = [name for name in names if not isinstance(found.get(name), dict)]
    if missing:
        raise GanxError(f"{path} lacks {', '.join(missing)}; it should be cifar-10-python.tar.gz")
    return found


def _cifar_pixels(path: epath.Path, batch: dict[bytes, Any]) -> np.ndarray:
    stored = batch.get(b"data")
    if not isinstance(stored, _StoredArray) or len(stored.shape) != 2 or stored.shape[1] != 3072:
        raise GanxError(f"{path} is not CIFAR-10's python archive: a batch has no data of 3072 bytes a picture")
    return np.frombuffer(stored.data, np.uint8).reshape(stored.shape)


class _StoredArray:
    """Where a pickled numpy array of bytes puts its state; no numpy object is made by the pickle."""

    shape: tuple[int, ...] = ()
    data: bytes = b""

    def __setstate__(self, state: tuple[int, tuple[int, ...], _StoredType, bool, bytes]) -> None:
        _, self.shape, kind, fortran, self.data = state
        if kind.name not in ("u1", "uint8") or fortran:
            raise pickle.UnpicklingError(f"an array of {kind.name} instead of bytes")


class _StoredType:
    """A pickled numpy dtype: its name is all that is kept."""

    def __init__(self, name: bytes | str, *_: object) -> None:
        self.name = name.decode() if isinstance(name, bytes) else name

    def __setstate__(self, state: object) -> None:
        pass


def _reconstruct(*_: object) -> _StoredArray:
    return _StoredArray()


def _encode(text: str, encoding: str | bytes) -> bytes:
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"text in {encoding!r}")
    return text.encode("latin1")


class ArrayUnpickler(pickle.Unpickler):
    """Reads numbers, text, lists, dicts and arrays of bytes; every other name in a pickle is refused.

    Even the numpy names stand for the small functions above, so that nothing outside this file is ever called.
    """

    _KNOWN: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): _StoredArray,
        ("numpy", "dtype"): _StoredType,
        ("_codecs", "encode"): _encode,
    }

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        """One of the names above. Raises `UnpicklingError` for any other."""
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"its pickle asks for {module}.{name}, which is not allowed")
        return self._KNOWN[module, name]
