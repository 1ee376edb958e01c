"""What the layouts of PGGAN and StyleGAN share: finding prefixes, and a list of layers that becomes a key map."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganx.convert.keymap import Entry, Plan, Source
from ganx.errors import GanxError

AVERAGED = ("generator_smooth", "g_ema", "G_ema", "Gs", "2")  # how files name the moving average of a generator


class Layer(NamedTuple):
    """A layer with a weight and a bias: where it goes, the prefix of its keys, the transform of its weight."""

    target: str
    prefix: str
    transform: str


class Names:
    """The tensors under a prefix by dotted names, whichever of "." and "/" the file joins them by."""

    def __init__(self, source: Source, root: str):
        self._source = source
        start = len(root) + 1 if root else 0
        self._full = {name[start:].replace("/", "."): name for name in source.under(root)}

    def __contains__(self, name: str) -> bool:
        return name in self._full

    def full(self, name: str) -> str:
        """The name in the file; itself where there is none, so that the tensor is reported missing."""
        return self._full.get(name, name)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor.

        Raises:
          GanxError: there is none of that name.
        """
        if name not in self:
            raise GanxError(f"it lacks the tensor {name!r}; download it again")
        return self._source.tensors[self.full(name)].shape

    def count(self, pattern: str) -> int:
        """How many of `pattern.format(0)`, `pattern.format(1)`, … there are in a row."""
        return next(i for i in itertools.count() if pattern.format(i) not in self)

    def check_grown(self, name: str) -> None:
        """Refuses a network that was saved before it had grown to its full resolution."""
        lod = self._source.tensors[self.full(name)].ravel() if name in self else np.zeros(1)
        if lod.any():
            raise GanxError(f"it was saved while it grew (lod {lod[0]:.3g}); take one from the end of training")


def roots_of(source: Source, *names: str) -> list[str]:
    """Prefixes under which all of the dotted `names` lie, averaged generators first."""
    found = []
    for name in source.tensors:
        dotted = name.replace("/", ".")
        if dotted == names[0] or dotted.endswith(f".{names[0]}"):
            root = name[: max(len(dotted) - len(names[0]) - 1, 0)]
            under = Names(source, root)
            if all(other in under for other in names):
                found.append(root)
    return sorted(found, key=lambda root: root.rpartition(".")[2] not in AVERAGED)


def entries(names: Names, layers: Iterable[Layer]) -> Iterator[Entry]:
    """The key map of layers with a weight and a bias."""
    for layer in layers:
        yield Entry(names.full(f"{layer.prefix}.weight"), f"params/{layer.target}/kernel", layer.transform)
        yield Entry(names.full(f"{layer.prefix}.bias"), f"params/{layer.target}/bias")


def genforce_discriminator(names: Names) -> list[Layer]:
    """Layers of a genforce discriminator: `input{j}` reads images of R / 2^j pixels."""
    depth = names.count("input{}.weight") - 1
    layers = []
    for j in range(depth + 1):
        size = 4 << (depth - j)
        layers.append(Layer(f"fromrgb/r{size}", f"input{j}", "conv"))
        if j < depth:
            layers += [Layer(f"b{size}/conv{k}", f"layer{2 * j + k}", "conv") for k in (0, 1)]
    layers.append(Layer("b4/conv", f"layer{2 * depth}", "conv"))
    layers.append(Layer("b4/fc", f"layer{2 * depth + 1}", "chw_rows:4x4"))
    return [*layers, Layer("b4/out", f"layer{2 * depth + 2}", "dense")]


def tf_discriminator(names: Names) -> list[Layer]:
    """Layers of an official TensorFlow discriminator: `FromRGB_lod{j}` reads images of R / 2^j pixels."""
    depth = names.count("FromRGB_lod{}.weight") - 1
    layers = []
    for j in range(depth + 1):
        size = 4 << (depth - j)
        layers.append(Layer(f"fromrgb/r{size}", f"FromRGB_lod{j}", "same"))
        if j < depth:
            block, second = f"{size}x{size}", "Conv1_down" if f"{size}x{size}.Conv1_down.weight" in names else "Conv1"
            layers.append(Layer(f"b{size}/conv0", f"{block}.Conv0", "same"))
            layers.append(Layer(f"b{size}/conv1", f"{block}.{second}", "same"))
    layers.append(Layer("b4/conv", "4x4.Conv", "same"))
    layers.append(Layer("b4/fc", "4x4.Dense0", "chw_first:4x4"))
    return [*layers, Layer("b4/out", "4x4.Dense1", "same")]


def discriminator_plan(module_class: Any, names: Names, layers: list[Layer], **fields: Any) -> Plan:
    """The plan for a discriminator's layers, all widths read from them; `fields` are the module's others.

    The head's number of outputs is passed to `fields["classes"]`, a function, for the number of classes.
    """
    by_target = {layer.target: layer for layer in layers}
    inputs = [layer for layer in layers if layer.target.startswith("fromrgb/")]
    pairs = [_features(names, layer) for layer in reversed(inputs)]
    hidden = _features(names, by_target["b4/fc"])[1]
    classes = fields.pop("classes")(_features(names, by_target["b4/out"])[1])
    module = module_class(tuple(out for _, out in pairs), hidden, classes, **fields)
    size = module.resolution
    example = jax.ShapeDtypeStruct((1, size, size, pairs[-1][0]), jnp.float32)
    return Plan(module, example, list(entries(names, layers)))


def _features(names: Names, layer: Layer) -> tuple[int, int]:
    """Input and output features of a layer by its weight, OI first in PyTorch's layouts, IO last in TensorFlow's."""
    shape = names.shape(f"{layer.prefix}.weight")
    torch = layer.transform in ("conv", "dense") or layer.transform.startswith("chw_rows")
    return (shape[1], shape[0]) if torch else (shape[-2], shape[-1])
