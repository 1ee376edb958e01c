"""The container of `torch.save` since version 1.6: a zip with one pickle and one member for each storage."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ganx.convert import archive, torch_legacy
from ganx.convert.allowlist import globals_for
from ganx.convert.archive import Archive
from ganx.convert.bytestream import ByteStream
from ganx.convert.flatten import flatten
from ganx.convert.keymap import Source
from ganx.convert.pickles import Budget, Machine
from ganx.convert.tensors import Storage
from ganx.errors import GanxError

NAME = "PyTorch checkpoint"


def recognises(path: Path, head: bytes) -> bool:
    """Whether it is a zip with a `data.pkl`."""
    return head.startswith(archive.MAGIC) and any(_is_pickle(name) for name in archive.member_names(path))


def read(path: Path) -> Source:
    """Its tensors by dotted name; each storage is read once, and shared tensors share it."""
    with Archive(path, compressed=False) as members:
        roots = [name.removesuffix("data.pkl") for name in members.members if _is_pickle(name)]
        if len(roots) != 1:
            raise GanxError("it holds more than one 'data.pkl'")
        _check_byte_order(members, roots[0] + "byteorder")
        return flatten(_load(members, roots[0]), limit=members.size)


def _is_pickle(name: str) -> bool:
    return name == "data.pkl" or name.endswith("/data.pkl")


def _check_byte_order(members: Archive, name: str) -> None:
    if name in members.members and bytes(members.read(name)).strip() != b"little":
        raise GanxError("it was saved on a big-endian machine, which ganx does not read; save it again elsewhere")


def _load(members: Archive, root: str) -> Any:
    budget = Budget.for_file(members.size)
    storages: dict[str, Storage] = {}

    def find(persistent_id: Any) -> Storage:
        dtype, key, numel, view = torch_legacy.parse(persistent_id)
        if key not in storages:
            storages[key] = Storage(dtype, numel)
            storages[key].fill(members.read(f"{root}data/{key}"))
        storage = storages[key]
        if (storage.dtype, storage.numel) != (dtype, numel):
            raise GanxError(f"storage {key[:40]!r} is described in two ways")
        return storage if view is None else storage.view(*view)

    names = globals_for(functools.partial(torch_legacy.load_nested, budget))
    return Machine(names, budget, find).run(ByteStream(members.read(root + "data.pkl")))
