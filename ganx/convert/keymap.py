"""From a checkpoint's tensors to a module's variables, with nothing left over and nothing left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import DictKey

from ganx.errors import GanxError

Tensors = Mapping[str, np.ndarray]
Transform = Callable[[np.ndarray], np.ndarray]
# PyTorch's batch norm counts the batches it has seen; inference and ganx's training have no use for it.
IGNORED = re.compile(r"(^|\.)num_batches_tracked$")
MAX_LISTED = 8


class Entry(NamedTuple):
    """One line of a key map: the tensor `source`, put through `transform`, is the variable `target`.

    `target` is a path such as `params/s0/kernel`.
    """

    source: str
    target: str
    transform: Transform = lambda array: array


class Row(NamedTuple):
    """What became of one tensor; `shape` and `dtype` are those of the file."""

    source: str
    target: str
    shape: tuple[int, ...]
    dtype: str


class Network(NamedTuple):
    """A linen module and its variables."""

    module: Any
    variables: Any


def fill(module: Any, example: jax.ShapeDtypeStruct, entries: Sequence[Entry], tensors: Tensors) -> Network:
    """The module's variables out of `tensors`, as float32.

    Args:
      module: what the variables are for; `example` is an input that it accepts, of any batch size.
      entries: the key map.
      tensors: what the map must use up, except for names that match `IGNORED`.

    Raises:
      GanxError: a tensor is left over, a variable is left out, or a shape differs; the message lists them.
    """
    wanted = _shapes(jax.eval_shape(module.init, jax.random.key(0), example))
    found = {e.target: _convert(e, tensors[e.source], wanted.get(e.target)) for e in entries if e.source in tensors}
    sources = {entry.source for entry in entries}
    left_over = [name for name in tensors if name not in sources and not IGNORED.search(name)]
    left_out = [target for target in wanted if target not in found]
    if left_over or left_out or found.keys() - wanted.keys():
        raise GanxError(
            f"not quite the architecture it looks like; tensors without a place: {_listed(left_over)}; "
            f"variables without a tensor: {_listed(left_out)}"
        )
    return Network(module, _nested(found))


def rows(entries: Iterable[Entry], tensors: Tensors) -> tuple[Row, ...]:
    """The key map as it was applied, for people to read."""
    return tuple(Row(e.source, e.target, tensors[e.source].shape, str(tensors[e.source].dtype)) for e in entries)


def _convert(entry: Entry, tensor: np.ndarray, shape: tuple[int, ...] | None) -> jax.Array:
    array = np.ascontiguousarray(entry.transform(tensor)).astype(np.float32)
    if shape is not None and array.shape != shape:
        raise GanxError(f"tensor {entry.source!r} has shape {list(tensor.shape)}, which does not fit {entry.target}")
    if not np.isfinite(array).all():
        raise GanxError(f"tensor {entry.source!r} holds NaN or Inf; the checkpoint is of a run that diverged")
    return jnp.asarray(array)


def _shapes(variables: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    return {"/".join(str(p.key) for p in path if isinstance(p, DictKey)): leaf.shape for path, leaf in leaves}


def _nested(flat: Mapping[str, jax.Array]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, array in flat.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = array
    return tree


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(name[:80] for name in names[:MAX_LISTED]) + more if names else "none"
