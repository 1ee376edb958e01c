"""From a checkpoint's tensors to a module's variables, and the vocabulary in which layouts describe that.

A layout is one module of `ganx.convert` (see `ganx.convert.layouts`). It looks at a `Source` and answers with `Plan`s:
which module, and which tensor becomes which variable through which named transform.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import DictKey

from ganx.convert import transforms
from ganx.errors import GanxError

Tensors = Mapping[str, np.ndarray]
MAX_LISTED = 8
ALIGNMENT = 64
LARGEST = 1e6  # hyper-parameter


@dataclasses.dataclass(frozen=True)
class Source:
    """What a checkpoint holds.

    Attributes:
      tensors: arrays of the stored shape and dtype, by dotted name.
      facts: plain numbers, text and lists that stand beside them, under dotted names of the same kind
        (`G_ema.img_resolution`, `config.output_dim`); empty for a plain state dict.
    """

    tensors: Tensors
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def under(self, root: str) -> list[str]:
        """The full names of the tensors under a prefix; all of them for ""."""
        return [name for name in self.tensors if is_under(name, root)]


class Entry(NamedTuple):
    """One line of a key map: the tensor `source` (its full name), put through `transform`, is the variable `target`.

    `target` is a path such as `params/s0/kernel`, `transform` a name of `ganx.convert.transforms`.
    """

    source: str
    target: str
    transform: str = "same"


class Plan(NamedTuple):
    """A module, an input that it accepts, and the key map that fills it.

    Attributes:
      module: what the variables are for; if it has a field `classes` above 0, it takes an int32 `label` besides.
      example: shape and dtype of an input of any batch size.
      entries: the key map.
      made: variables that no tensor of the file holds and the layout works out itself, by target path.
    """

    module: Any
    example: jax.ShapeDtypeStruct
    entries: Sequence[Entry]
    made: Mapping[str, np.ndarray] = {}


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


def plain_number(value: float, name: str, low: float = -LARGEST) -> float:
    """A hyper-parameter that stands beside the tensors.

    Raises:
      GanxError: it is NaN, or out of any network's range.
    """
    if not low <= value <= LARGEST:
        raise GanxError(f"its {name} is {repr(value)[:40]}, which no network has; the file is damaged")
    return value


def is_under(name: str, root: str) -> bool:
    """Whether a dotted name stands under a prefix; everything stands under ""."""
    return not root or name.startswith(f"{root}.")


def join(root: str, name: str) -> str:
    """`root.name`, or `name` where the root is ""."""
    return f"{root}.{name}" if root else name


def variable_shapes(plan: Plan) -> Mapping[str, tuple[int, ...]]:
    """The shape of every variable of a plan's module, by path, found without running it."""
    return _shapes(plan.module, plan.example)


@functools.lru_cache(maxsize=4)  # tracing a large network takes longer than reading it, and each is asked for twice
def _shapes(module: Any, example: jax.ShapeDtypeStruct) -> dict[str, tuple[int, ...]]:
    labels = {}
    if getattr(module, "classes", 0):
        labels = {"label": jax.ShapeDtypeStruct(example.shape[:1], jnp.int32)}
    variables = jax.eval_shape(module.init, jax.random.key(0), example, **labels)
    return {path: leaf.shape for path, leaf in flat(variables).items()}


def check(plans: Sequence[Plan], tensors: Tensors, domain: Iterable[str]) -> None:
    """Refuses plans that leave a tensor of `domain` over, leave a variable out, or fill one that does not exist."""
    used = {entry.source for plan in plans for entry in plan.entries}
    left_over = [name for name in domain if name not in used]
    left_out: list[str] = []
    for plan in plans:
        wanted = variable_shapes(plan)
        filled = {entry.target for entry in plan.entries if entry.source in tensors} | set(plan.made)
        left_out += [target for target in wanted if target not in filled]
        left_over += [entry.source for entry in plan.entries if entry.target not in wanted]
    if left_over or left_out:
        raise GanxError(
            f"not quite the architecture it looks like; tensors without a place: {_listed(left_over)}; "
            f"variables without a tensor: {_listed(left_out)}"
        )


def fill(plan: Plan, tensors: Tensors) -> Network:
    """The module's variables as float32, for a plan that `check` has passed.

    Raises:
      GanxError: a tensor's shape does not fit, or it holds NaN or Inf.
    """
    wanted = variable_shapes(plan)
    found = {target: jnp.asarray(array, jnp.float32) for target, array in plan.made.items()}
    device = jax.local_devices()[0]
    for entry in plan.entries:
        array = convert(entry, tensors[entry.source], wanted[entry.target])
        found[entry.target] = jax.device_put(array, device)
    return Network(plan.module, nested(found))


def convert(entry: Entry, tensor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The variable, float32 of shape `shape`, that a tensor becomes; errors as for `fill`."""
    misfit = f"tensor {entry.source!r} has shape {list(tensor.shape)}, which does not fit {entry.target}"
    if tensor.dtype.kind not in "biufV":  # V: bfloat16
        raise GanxError(f"tensor {entry.source!r} is of dtype {tensor.dtype}, which holds no weights")
    try:
        array = transforms.forward(entry.transform, tensor.astype(np.float32, copy=False), shape)
    except (ValueError, IndexError):
        raise GanxError(misfit) from None
    if array.shape != shape:
        raise GanxError(misfit)
    out = _empty(shape)  # a copy, since the file may be mapped and go away
    np.copyto(out, array)
    if not np.isfinite(out).all():
        raise GanxError(f"tensor {entry.source!r} holds NaN or Inf; the checkpoint is of a run that diverged")
    return out


def _empty(shape: tuple[int, ...]) -> np.ndarray:
    """Room for float32 numbers that starts where JAX wants it, so that `device_put` on the CPU copies nothing."""
    size = 4 * math.prod(shape)
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view(np.float32).reshape(shape)


def rows(entries: Iterable[Entry], tensors: Tensors) -> tuple[Row, ...]:
    """The key map as it was applied, for people to read."""
    return tuple(Row(e.source, e.target, tensors[e.source].shape, str(tensors[e.source].dtype)) for e in entries)


def flat(variables: Any) -> dict[str, Any]:
    """The leaves of nested dicts by path, such as `params/s0/kernel`."""
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    return {"/".join(str(p.key) for p in path if isinstance(p, DictKey)): leaf for path, leaf in leaves}


def nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flat`."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
    return tree


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(name[:80] for name in names[:MAX_LISTED]) + more if names else "none"
