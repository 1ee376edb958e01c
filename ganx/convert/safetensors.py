"""The safetensors format: a JSON header with names, types, shapes and byte ranges, then the bytes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from ganx.convert.tensors import from_bytes, is_shape
from ganx.errors import GanxError

NAME = "safetensors file"
MAX_HEADER = 100_000_000  # the format's own limit
_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}


def recognises(path: Path, head: bytes) -> bool:
    """Whether it starts with a plausible length and a JSON object."""
    return len(head) > 8 and int.from_bytes(head[:8], "little") <= MAX_HEADER and head[8:9] == b"{"


def read(path: Path) -> dict[str, np.ndarray]:
    """Its tensors by name, read-only views on the bytes of the file."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    if start > len(raw):
        raise GanxError("its header is cut short; download it again")
    header = json.loads(raw[8:start].decode("utf-8"), object_pairs_hook=_unique)
    header.pop("__metadata__", None)
    _check_ranges(header, len(raw) - start)
    return {name: _tensor(name, entry, raw, start) for name, entry in header.items()}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise GanxError("its header names something twice")
    return dict(pairs)


def _check_ranges(header: dict[str, Any], size: int) -> None:
    """The format asks that the tensors fill the bytes without gap or overlap."""
    position = 0
    for begin, end in sorted(entry["data_offsets"] for entry in header.values()):
        if type(begin) is not int or type(end) is not int or begin != position or end < begin:
            raise GanxError("its tensors overlap or leave gaps")
        position = end
    if position != size:
        raise GanxError("its tensors and its bytes differ in length; download it again")


def _tensor(name: str, entry: dict[str, Any], raw: bytes, start: int) -> np.ndarray:
    if entry["dtype"] not in _DTYPES:
        raise GanxError(f"tensor {name[:80]!r} has the type {entry['dtype']!r:.20}, which ganx does not read")
    dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
    begin, end = entry["data_offsets"]
    if not is_shape(shape) or math.prod(shape) * dtype.itemsize != end - begin:
        raise GanxError(f"tensor {name[:80]!r} has a shape that its bytes do not fill")
    return from_bytes(raw, dtype, math.prod(shape), start + begin).reshape(shape)
