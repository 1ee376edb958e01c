"""The container that `torch.save` wrote before version 1.6, and still writes inside other pickles.

Five pickles in a row (a magic number, the protocol, facts of the machine that saved it, the object, the keys of
its storages), then the bytes of each storage.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from ganx.convert.allowlist import globals_for, storage_dtype
from ganx.convert.bytestream import Bytes, ByteStream, mapped
from ganx.convert.flatten import flatten
from ganx.convert.keymap import Source
from ganx.convert.pickles import Budget, Machine
from ganx.convert.tensors import Storage
from ganx.errors import GanxError

NAME = "legacy PyTorch checkpoint"
MAGIC = 0x1950A86A20F9469CFC6C
_HEAD = b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."
_PROTOCOL = 1001


def recognises(path: Path, head: bytes) -> bool:
    """Whether it starts with the magic number, pickled as `torch.save` does by default (see `plain_pickle`)."""
    return head.startswith(_HEAD)


def read(path: Path) -> Source:
    """Its tensors by dotted name; views on the bytes of the file."""
    raw = mapped(path)
    return flatten(load(raw, Budget.for_file(len(raw))), limit=len(raw))


def load(raw: Bytes, budget: Budget) -> Any:
    """The object in a legacy container, made of plain data, `Storage` and `Tensor`."""
    stream = ByteStream(raw)
    storages = _Storages()
    names = globals_for(functools.partial(load_nested, budget))
    machine = functools.partial(Machine, names, budget)
    if machine().run(stream) != MAGIC:
        raise GanxError("a pickle, but not a PyTorch checkpoint")
    if machine().run(stream) != _PROTOCOL:
        raise GanxError("a legacy PyTorch checkpoint of an unknown version")
    facts = machine().run(stream)
    if not isinstance(facts, dict) or facts.get("little_endian") is not True:
        raise GanxError("it was saved on a big-endian machine, which ganx does not read; save it again elsewhere")
    found = machine(storages.find).run(stream)
    storages.fill(machine().run(stream), raw, stream.tell())
    return found


def load_nested(budget: Budget, raw: Any) -> Any:
    """`torch.storage._load_from_bytes`: the object in a legacy container inside another pickle."""
    if not isinstance(raw, bytes | memoryview):
        raise GanxError("a nested container is not made of bytes")
    if budget.nesting == 0:
        raise GanxError("containers are nested too deep; do not trust this file")
    budget.nesting -= 1
    found = load(raw, budget)
    budget.nesting += 1
    return found


class _Storages:
    """The storages of one container, by key: first named by the object, later given their bytes."""

    def __init__(self) -> None:
        self._by_key: dict[str, Storage] = {}

    def find(self, persistent_id: Any) -> Storage:
        dtype, key, numel, view = parse(persistent_id)
        storage = self._by_key.setdefault(key, Storage(dtype, numel))
        if (storage.dtype, storage.numel) != (dtype, numel):
            raise GanxError(f"storage {key[:40]!r} is described in two ways")
        return storage if view is None else storage.view(*view)

    def fill(self, keys: Any, raw: Bytes, position: int) -> None:
        """Gives each storage its bytes: for every key an int64 count, then the numbers."""
        if not isinstance(keys, list) or len(set(map(str, keys))) != len(keys):
            raise GanxError("the list of storages is damaged")
        for key in keys:
            if key not in self._by_key:
                raise GanxError("the list of storages names one that no tensor uses")
            storage, count = self._by_key[key], raw[position : position + 8]
            if len(count) < 8 or int.from_bytes(count, "little", signed=True) != storage.numel:
                raise GanxError("a storage is cut short or of another length than promised; download the file again")
            position = storage.fill(raw, position + 8)


def parse(persistent_id: Any) -> tuple[np.dtype, str, int, tuple[int, int] | None]:
    """Element type, key, element count and, for a view, its offset and length, out of a persistent id."""
    if not isinstance(persistent_id, tuple) or len(persistent_id) not in (5, 6) or persistent_id[0] != "storage":
        raise GanxError("a tensor refers to its storage in an unknown way")
    _, kind, key, _, numel, *rest = persistent_id
    if not isinstance(key, str) or type(numel) is not int or numel < 0:
        raise GanxError("a tensor refers to its storage in an unknown way")
    return storage_dtype(kind), key, numel, _view(rest[0]) if rest else None


def _view(view: Any) -> tuple[int, int] | None:
    if view is None:
        return None
    if not isinstance(view, tuple) or len(view) != 3 or not all(type(n) is int for n in view[1:]):
        raise GanxError("a storage view is described in an unknown way")
    return view[1], view[2]
