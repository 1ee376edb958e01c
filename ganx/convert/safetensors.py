"""The safetensors format: a JSON header with names, types, shapes and byte ranges, then the bytes."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from ganx.convert.bytestream import MAX_ENTRIES, Bytes, mapped
from ganx.convert.keymap import Source
from ganx.convert.tensors import from_bytes, is_shape
from ganx.errors import GanxError

NAME = "safetensors file"
MAX_HEADER = 16 << 20  # the format allows 100 MB, which take a minute to parse
FACTS = "ganx.facts"
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
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def recognises(path: Path, head: bytes) -> bool:
    """Whether it starts with a plausible length and a JSON object."""
    return len(head) > 8 and int.from_bytes(head[:8], "little") <= MAX_HEADER and head[8:9] == b"{"


def read(path: Path) -> Source:
    """Its tensors by name, read-only views on the bytes of the file; facts where `write` put some."""
    return from_memory(mapped(path))


def from_memory(raw: Bytes) -> Source:
    """As `read`, from the bytes of a file."""
    start = 8 + int.from_bytes(raw[:8], "little")
    if start > len(raw):
        raise GanxError("its header is cut short; download it again")
    header = json.loads(bytes(raw[8:start]).decode("utf-8"), object_pairs_hook=unique)
    if len(header) > MAX_ENTRIES:
        raise GanxError("it has too many entries to be a checkpoint")
    facts = _facts(header.pop("__metadata__", None))
    _check_ranges(header, len(raw) - start)
    return Source({name: _tensor(name, entry, raw, start) for name, entry in header.items()}, facts)


def chunks(tensors: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> Iterator[Bytes]:
    """The bytes of a file with these tensors, and with facts as JSON text in its metadata; copies one at a time."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"} | ({FACTS: json.dumps(dict(facts))} if facts else {})}
    end = 0
    for name, array in tensors.items():
        header[name] = {"dtype": _NAMES[array.dtype], "shape": array.shape, "data_offsets": (end, end + array.nbytes)}
        end += array.nbytes
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    yield len(raw).to_bytes(8, "little") + raw
    for array in tensors.values():
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def write(path: Path, tensors: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Writes a file, whole or not at all.

    Raises:
      GanxError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            for chunk in chunks(tensors, facts):
                file.write(chunk)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise GanxError(f"cannot write {path}: {error.strerror or error}; choose another place") from None


def dtype(name: str) -> np.dtype:
    """The type of numpy's name, such as "bfloat16"; a KeyError for one that the format does not have."""
    return {str(known): known for known in _NAMES}[name]


def _facts(metadata: Any) -> dict[str, Any]:
    if not isinstance(metadata, dict) or FACTS not in metadata:
        return {}
    facts = json.loads(metadata[FACTS], object_pairs_hook=unique)
    if not isinstance(facts, dict):
        raise GanxError("its metadata are damaged; download it again")
    return facts


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ, as `object_pairs_hook`: which of two would count is a guess."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise GanxError("it names something twice")
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


def _tensor(name: str, entry: dict[str, Any], raw: Bytes, start: int) -> np.ndarray:
    if entry["dtype"] not in _DTYPES:
        raise GanxError(f"tensor {name[:80]!r} has the type {entry['dtype']!r:.20}, which ganx does not read")
    dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
    begin, end = entry["data_offsets"]
    if not is_shape(shape) or math.prod(shape) * dtype.itemsize != end - begin:
        raise GanxError(f"tensor {name[:80]!r} has a shape that its bytes do not fill")
    return from_bytes(raw, dtype, math.prod(shape), start + begin).reshape(shape)
