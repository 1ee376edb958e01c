"""Plain `.npz` archives (`numpy.savez`), pickled members refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ganx.convert import archive
from ganx.convert.archive import Archive
from ganx.convert.bytestream import Bytes, ByteStream
from ganx.convert.keymap import Source
from ganx.convert.tensors import from_bytes, is_shape
from ganx.errors import GanxError

NAME = "npz archive"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def recognises(path: Path, head: bytes) -> bool:
    """Whether it is a zip of `.npy` members only."""
    if not head.startswith(archive.MAGIC):
        return False
    names = archive.member_names(path)
    return bool(names) and all(name.endswith(".npy") for name in names)


def read(path: Path) -> Source:
    """Its arrays by name, read-only."""
    with Archive(path, compressed=True) as members:
        return Source({name.removesuffix(".npy"): _array(members.read(name)) for name in members.members})


def _array(raw: Bytes) -> np.ndarray:
    """As `numpy.lib.format.read_array`, but a shape that the bytes cannot fill allocates nothing."""
    stream = ByteStream(raw)
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise GanxError(f"an array is in .npy version {version}; save it again with plain numbers")
    shape, fortran, dtype = _HEADERS[version](stream)
    if dtype.kind not in "biuf" or dtype.hasobject:
        raise GanxError(f"refused: an array of dtype {dtype}, which is not a plain number")
    start, count = stream.tell(), math.prod(shape)
    if not is_shape(shape) or len(raw) - start != count * dtype.itemsize:
        raise GanxError("an array is longer or shorter than its shape; download the file again")
    return from_bytes(raw, dtype, count, start).reshape(shape, order="F" if fortran else "C")
