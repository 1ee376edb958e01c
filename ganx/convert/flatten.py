"""From the tree of an unpickled checkpoint to flat, dotted names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ganx.convert.tensors import NumpyArray, Tensor
from ganx.errors import GanxError

MAX_DEPTH = 32
MAX_NODES = 1_000_000
MAX_NAME = 1_000
# Tensors may share storages (tied or expanded weights), so their sizes may add up to more than the file.
MAX_SHARING = 8
SLACK = 1 << 20
_KEPT = (Tensor, NumpyArray, dict, list, tuple)


def flatten(tree: Any, limit: int) -> dict[str, np.ndarray]:
    """The tensors and arrays in nested dicts, lists and tuples: `{"model": {"w": t}}` gives `{"model.w": t}`.

    Whatever else a checkpoint holds (counters, options, text) is left out. `limit`: bytes in the file.
    """
    arrays: dict[str, np.ndarray] = {}
    left = limit * MAX_SHARING + SLACK
    for name, leaf in _leaves(tree):
        if name in arrays:
            raise GanxError(f"two of its tensors are named {name!r}")
        left -= leaf.nbytes if isinstance(leaf, Tensor) else leaf.array.nbytes
        if left < 0:
            raise GanxError("refused: its tensors claim far more numbers than the file can hold")
        arrays[name] = leaf.array() if isinstance(leaf, Tensor) else leaf.array
    return arrays


def _leaves(tree: Any) -> Iterator[tuple[str, Tensor | NumpyArray]]:
    """Depth first, in order, with an explicit stack: the tree may be deep, shared or even cyclic."""
    pending, left = [("", 0, tree)] if isinstance(tree, _KEPT) else [], MAX_NODES
    while pending:
        name, depth, node = pending.pop()
        if isinstance(node, Tensor | NumpyArray):
            yield name, node
        else:
            left -= len(node)
            if depth == MAX_DEPTH or left < 0:
                raise GanxError("it is nested too deep or has too many entries to be a checkpoint")
            pending += reversed([(_join(name, key), depth + 1, child) for key, child in _children(node)])


def _children(node: dict | list | tuple) -> Iterator[tuple[Any, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    return ((key, child) for key, child in items if isinstance(child, _KEPT))


def _join(prefix: str, key: Any) -> str:
    if isinstance(key, str | int) and len(prefix) < MAX_NAME and (isinstance(key, int) or len(key) < MAX_NAME):
        return f"{prefix}.{key}" if prefix else str(key)
    raise GanxError("one of its entries has a name that is no tensor's")
