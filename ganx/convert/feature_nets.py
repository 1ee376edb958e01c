"""What the converters of public feature networks share: tensors taken by name, each once, none left over.

These networks are no GANs, so they have no layout among `ganx.convert.layouts`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx.convert.keymap import Source, flat, nested
from ganx.convert.layouts import COUNTERS
from ganx.errors import GanxError

_LISTED = 6


class Taker:
    """Hands out the tensors of a state dict, and tells at the end which were missing or left over.

    The state dict may lie under a prefix (`state_dict.`, `module.`): `anchor` is a name that it must hold.
    """

    def __init__(self, source: Source, what: str, anchor: str):
        found = [name for name in source.tensors if name == anchor or name.endswith(f".{anchor}")]
        if not found:
            first = ", ".join(name[:60] for name in list(source.tensors)[:3])
            raise GanxError(f"this is no {what}: there is no tensor {anchor!r}; it starts with {first}")
        self._root = min(found, key=len).removesuffix(anchor)
        self._tensors, self._what = source.tensors, what
        self._taken: set[str] = set()
        self._missing: list[str] = []

    def has(self, name: str) -> bool:
        """Whether there is such a tensor."""
        return self._root + name in self._tensors

    def take(self, name: str, shape: Sequence[int]) -> np.ndarray:
        """A tensor as float32, or zeros where it is missing: `finish` will complain."""
        full = self._root + name
        self._taken.add(full)
        if full not in self._tensors:
            self._missing.append(name)
            return np.zeros(shape, np.float32)
        array = self._tensors[full]
        if array.shape != tuple(shape):
            raise GanxError(f"this is no {self._what}: {name} has shape {list(array.shape)}, not {list(shape)}")
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise GanxError(f"{name} holds NaN or Inf; get the file again")
        return array

    def kernel(self, name: str, shape: Sequence[int]) -> np.ndarray:
        """The OIHW tensor that becomes a kernel of HWIO `shape`."""
        h, w, i, o = shape
        return self.take(name, (o, i, h, w)).transpose(2, 3, 1, 0)

    def dense(self, name: str, shape: Sequence[int]) -> np.ndarray:
        """The `[out, in]` tensor that becomes a matrix of `[in, out]` `shape`."""
        return self.take(name, tuple(reversed(shape))).T

    def norm(self, name: str, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Scale, bias, running mean and running variance of a batch norm."""
        parts = ("weight", "bias", "running_mean", "running_var")
        scale, bias, mean, var = (self.take(f"{name}.{part}", (width,)) for part in parts)
        return scale, bias, mean, var

    def finish(self, ignored: str | None = None) -> None:
        """Refuses a file of which something is missing, or left over that does not match the pattern `ignored`.

        Other networks may lie beside this one: only tensors under its prefix count.
        """
        pattern = re.compile(ignored) if ignored else None
        over = [
            name
            for name in self._tensors
            if name.startswith(self._root) and name not in self._taken and not COUNTERS.search(name)
        ]
        over = [name for name in over if not (pattern and pattern.search(name.removeprefix(self._root)))]
        if self._missing or over:
            raise GanxError(
                f"this is not quite a {self._what}; missing: {_listed(self._missing)}; unexpected: {_listed(over)}"
            )


def shapes(module: Any, *examples: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The shape of every variable of a module by path, found without running it."""
    inputs = [jax.ShapeDtypeStruct(tuple(shape), jnp.float32) for shape in examples]
    return {path: leaf.shape for path, leaf in flat(jax.eval_shape(module.init, jax.random.key(0), *inputs)).items()}


def fold(kernel: np.ndarray, norm: Sequence[np.ndarray], epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """A convolution without bias and the batch norm after it as one kernel and bias, worked out in float64."""
    scale, bias, mean, var = (part.astype(np.float64) for part in norm)
    gain = scale / np.sqrt(var + epsilon)
    return (kernel * gain).astype(np.float32), (bias - mean * gain).astype(np.float32)


def variables(leaves: Mapping[str, np.ndarray]) -> Any:
    """Variables on the first local device, from arrays by path such as `params/fc_kernel`."""
    device = jax.local_devices()[0]
    return nested({path: jax.device_put(np.ascontiguousarray(leaf), device) for path, leaf in leaves.items()})


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(name[:80] for name in names[:_LISTED]) + more if names else "none"
