"""Keras `.h5` weight files, by way of h5py, which is an optional extra.

Only data sets that lie in the file itself are looked at: no external or soft links, no virtual or external storage, no
filters (which could inflate, or load plug-ins; Keras uses none), no compound, object or reference types, and no more
numbers than the file can hold.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ganx.convert.bytestream import MAX_ENTRIES
from ganx.convert.keymap import Source
from ganx.errors import GanxError

NAME = "Keras .h5"
_MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_DEPTH = 16


def recognises(path: Path, head: bytes) -> bool:
    """Whether it starts like an HDF5 file."""
    return head.startswith(_MAGIC)


def read(path: Path) -> Source:
    """Its arrays by dotted name: the groups that lead to a data set, and its own name (`conv1.kernel:0`)."""
    try:
        import h5py
    except ImportError:
        raise GanxError("a Keras .h5 file needs one more package; run: pip install h5py") from None
    try:
        with h5py.File(path, "r") as file:
            return Source(_Reader(h5py, path.stat().st_size).arrays(file))
    except RuntimeError as error:  # how h5py says that the library found the file damaged
        raise GanxError("damaged or cut short; download it again") from error


class _Reader:
    def __init__(self, h5py: Any, size: int) -> None:
        self._h5py = h5py
        self._bytes = size
        self._entries = MAX_ENTRIES

    def arrays(self, file: Any) -> dict[str, np.ndarray]:
        """Every array in the file."""
        found: dict[str, np.ndarray] = {}
        pending = [("", 0, file)]
        while pending:
            prefix, depth, group = pending.pop()
            self._entries -= len(group)
            if depth == MAX_DEPTH or self._entries < 0:
                raise GanxError("it is nested too deep or has too many entries to be a checkpoint")
            for key in group:
                name = f"{prefix}.{key}" if prefix else key
                child = self._child(group, key, name)
                if isinstance(child, self._h5py.Group):
                    pending.append((name, depth + 1, child))
                elif isinstance(child, self._h5py.Dataset):
                    if name in found:
                        raise GanxError(f"two of its tensors are named {name[:80]!r}")
                    found[name] = self._array(name, child)
        return found

    def _child(self, group: Any, key: str, name: str) -> Any:
        if not isinstance(group.get(key, getlink=True), self._h5py.HardLink):
            raise GanxError(f"refused: {name[:80]!r} is a link to somewhere else")
        return group[key]

    def _array(self, name: str, data: Any) -> np.ndarray:
        if data.dtype.kind not in "biuf" or data.dtype.itemsize > 8 or data.shape is None:
            raise GanxError(f"refused: {name[:80]!r} is of dtype {data.dtype}, which is not a plain number")
        if data.is_virtual or data.external:
            raise GanxError(f"refused: the numbers of {name[:80]!r} lie in another file")
        if data.id.get_create_plist().get_nfilters():
            raise GanxError(f"refused: {name[:80]!r} is compressed; save the weights without compression")
        self._bytes -= math.prod(data.shape) * data.dtype.itemsize
        if self._bytes < 0:
            raise GanxError("refused: its tensors claim more numbers than the file can hold")
        return np.asarray(data[()])
