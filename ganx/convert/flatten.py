"""From the tree of an unpickled checkpoint to flat, dotted names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ganx.convert.keymap import Source
from ganx.convert.modules import Node
from ganx.convert.tensors import NumpyArray, Tensor
from ganx.errors import GanxError

MAX_DEPTH = 32
MAX_NODES = 1_000_000
MAX_NAME = 1_000
# Facts are small: longer texts and lists, such as source code or the numbers of an optimiser's parameters, are left.
MAX_TEXT = 1_000
MAX_LIST = 256
MAX_LIST_DEPTH = 3
# Tensors may share storages (tied or expanded weights), so their sizes may add up to more than the file.
MAX_SHARING = 8
SLACK = 1 << 20
_ARRAYS = (Tensor, NumpyArray)
_TREES = (dict, list, tuple, Node)
_PLAIN = (int, float, str, type(None))
_NO_FACT = object()


def flatten(tree: Any, limit: int) -> Source:
    """The tensors in nested dicts, lists, tuples and modules: `{"model": {"w": t}}` gives `{"model.w": t}`.

    Numbers, short texts and short lists of them become facts under names of the same kind; whatever else a checkpoint
    holds is left out. `limit`: bytes in the file.
    """
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {}
    left = limit * MAX_SHARING + SLACK
    for name, leaf in _Walk().leaves(tree):
        if not isinstance(leaf, _ARRAYS):
            facts[name] = leaf
            continue
        if name in arrays:
            raise GanxError(f"two of its tensors are named {name!r}")
        left -= leaf.nbytes if isinstance(leaf, Tensor) else leaf.array.nbytes
        if left < 0:
            raise GanxError("refused: its tensors claim far more numbers than the file can hold")
        arrays[name] = leaf.array() if isinstance(leaf, Tensor) else leaf.array
    return Source(arrays, facts)


class _Walk:
    """Depth first, in order, with an explicit stack: the tree may be deep, shared or even cyclic."""

    def __init__(self) -> None:
        self._left = MAX_NODES

    def leaves(self, tree: Any) -> Iterator[tuple[str, Any]]:
        """Tensors, arrays and facts by name."""
        pending = [("", 0, tree, True)] if isinstance(tree, _ARRAYS + _TREES) else []
        while pending:
            name, depth, node, weights = pending.pop()
            if isinstance(node, _ARRAYS):
                if weights:
                    yield name, node
                continue
            fact = self._fact(node, 0)
            if fact is not _NO_FACT:
                if name:
                    yield name, fact
            elif isinstance(node, _TREES):
                if depth == MAX_DEPTH:
                    raise GanxError("it is nested too deep to be a checkpoint")
                inner = [(_join(name, k), depth + 1, child, weights and w) for k, child, w in self._children(node)]
                pending += reversed(inner)

    def _children(self, node: Any) -> list[tuple[Any, Any, bool]]:
        """Keys, subtrees, and whether the tensors in them are the network's."""
        found: list[tuple[Any, Any, bool]]
        if isinstance(node, Node):
            found = [(k, v, True) for k, v in node.arrays()] + [(k, v, False) for k, v in node.facts()]
        else:
            found = [(k, v, True) for k, v in (node.items() if isinstance(node, dict) else enumerate(node))]
        self._pay(len(found))
        kinds: tuple[type, ...] = _ARRAYS + _TREES + (_PLAIN if isinstance(node, dict | Node) else ())
        return [item for item in found if isinstance(item[1], kinds)]

    def _fact(self, value: Any, depth: int) -> Any:
        """A plain value, or a short list of such, with tuples as lists; `_NO_FACT` for anything else."""
        if isinstance(value, _PLAIN):
            return _NO_FACT if isinstance(value, str) and len(value) > MAX_TEXT else value
        if not isinstance(value, list | tuple) or depth == MAX_LIST_DEPTH or not 0 < len(value) <= MAX_LIST:
            return _NO_FACT
        self._pay(len(value))
        items = []
        for item in value:
            items.append(self._fact(item, depth + 1))
            if items[-1] is _NO_FACT:
                return _NO_FACT
        return items

    def _pay(self, nodes: int) -> None:
        self._left -= nodes
        if self._left < 0:
            raise GanxError("it has too many entries to be a checkpoint")


def _join(prefix: str, key: Any) -> str:
    if isinstance(key, str | int) and len(prefix) < MAX_NAME and (isinstance(key, int) or len(key) < MAX_NAME):
        name = str(key)
        return prefix + name if name.startswith("/") else f"{prefix}.{name}" if prefix else name
    raise GanxError("one of its entries has a name that is no tensor's")
