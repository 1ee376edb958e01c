"""DCGAN state dicts: which tensors are which, and the architecture that their shapes imply.

Two layouts of the same idea, a sequence of convolutions each with or without a batch norm:
`main.{0,3,6,…}` with norms at `main.{1,4,7,…}` (PyTorch's own example), and blocks `<root>.<i>.0` with norms
at `<root>.<i>.1`. Shapes tell everything but the activations and the prior, which belong to the layout.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Container, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ganx.convert.keymap import Entry, Plan, Source, Tensors, join
from ganx.errors import GanxError
from ganx.models.dcgan import Block, DcganDiscriminator, DcganGenerator

NAME = "dcgan"
LAYOUT = "pytorch-dcgan"


class Layout(NamedTuple):
    """What the tensors of a generator do not say."""

    first: str
    hidden: str
    prior: str


GENERATORS = {
    "main": Layout("relu", "relu", "normal"),
    "generator_deconv": Layout("none", "lrelu", "uniform"),
}
DISCRIMINATORS = ("main", "discriminator")


class Layer(NamedTuple):
    """A convolution or linear layer by the prefix of its keys, and the batch norm after it, "" if none."""

    prefix: str
    shape: tuple[int, ...]
    bias: bool
    norm: str


def generator_roots(source: Source) -> list[str]:
    """The prefixes of the state dicts that hold a DCGAN generator."""
    tensors = source.tensors
    found = [root for root in _roots(tensors, GENERATORS) if not _reads_images(tensors, root)]
    return list(dict.fromkeys(_above(root) for root in found))


def discriminator_root(source: Source) -> str | None:
    """The prefix of the state dict that holds a DCGAN discriminator, None if there is none."""
    tensors = source.tensors
    return next((_above(root) for root in _roots(tensors, DISCRIMINATORS) if _reads_images(tensors, root)), None)


def generator(source: Source, root: str) -> Plan:
    """The generator that the tensors under `root` describe."""
    tensors = source.tensors
    within = [join(root, name) for name in GENERATORS]
    body = next(body for body in within if _layers(tensors, body) and not _reads_images(tensors, body))
    layout, layers = GENERATORS[_last(body)], _layers(tensors, body)
    if len(layers) < 2:
        raise GanxError("a DCGAN generator has two layers or more; this file has fewer")
    latent, features, blocks = layers[0].shape[0], layers[0].shape[0], []
    for i, layer in enumerate(layers):
        activation = layout.first if i == 0 else "tanh" if i == len(layers) - 1 else layout.hidden
        blocks.append(_block(layer, i == 0, features, activation))
        features = blocks[-1].features
    if features not in (1, 3):
        raise GanxError(f"the generator's images would have {features} channels; ganx draws 1 or 3")
    module = DcganGenerator(tuple(blocks), latent, layout.prior)
    names = zip(module.stage_names(), layers, blocks, strict=True)
    entries = [e for stage, layer, b in names for e in _entries(stage, layer, "conv" if b.kind == "conv" else "deconv")]
    return Plan(module, jax.ShapeDtypeStruct((1, latent), jnp.float32), entries)


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator that the tensors under `root` describe; its last layer gives the logit."""
    tensors = source.tensors
    within = [join(root, name) for name in DISCRIMINATORS]
    body = next(body for body in within if _layers(tensors, body) and _reads_images(tensors, body))
    *layers, head = _layers(tensors, body)
    if not layers or head.shape[0] != 1 or any(layer.shape[2:] != (4, 4) for layer in layers):
        raise GanxError("a DCGAN discriminator is 4 x 4 convolutions and one logit; this file holds another network")
    width = layers[-1].shape[0]
    side = math.isqrt(math.prod(head.shape[1:]) // width)
    if math.prod(head.shape[1:]) != width * side * side:
        raise GanxError(f"{head.prefix}.weight has shape {list(head.shape)}, no whole map of {width} channels")
    size, channels = side * 2 ** len(layers), layers[0].shape[1]
    module = DcganDiscriminator(
        widths=tuple(layer.shape[0] for layer in layers),
        bias=tuple(layer.bias for layer in layers),
        norm=tuple(bool(layer.norm) for layer in layers),
        head_bias=head.bias,
    )
    entries = [e for i, layer in enumerate(layers) for e in _entries(f"conv{i}", layer, "conv")]
    entries.append(Entry(f"{head.prefix}.weight", "params/kernel", f"reshape:1x{width}x{side}x{side}|conv"))
    if head.bias:
        entries.append(Entry(f"{head.prefix}.bias", "params/bias"))
    return Plan(module, jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32), entries)


def _block(layer: Layer, first: bool, features: int, activation: str) -> Block:
    """A transposed convolution has an even kernel, `[in, out, …]`, a plain one an odd one, `[out, in, …]`."""
    if len(layer.shape) != 4 or layer.shape[2] != layer.shape[3]:
        raise GanxError(f"{layer.prefix} is no square convolution, so this is no DCGAN generator that ganx knows")
    plain = not first and layer.shape[2] % 2 == 1
    size, (entering, leaving) = layer.shape[2], layer.shape[1::-1] if plain else layer.shape[:2]
    if entering != features or (not first and not plain and size != 4):
        raise GanxError(
            f"{layer.prefix} has a weight of shape {list(layer.shape)} where {features} channels come in; "
            "ganx knows transposed 4 x 4 and plain odd kernels there"
        )
    kind = "project" if first else "conv" if plain else "up"
    return Block(kind, leaving, size, layer.bias, bool(layer.norm), activation)


def _entries(name: str, layer: Layer, transform: str) -> Iterator[Entry]:
    yield Entry(f"{layer.prefix}.weight", f"params/{name}/kernel", transform)
    if layer.bias:
        yield Entry(f"{layer.prefix}.bias", f"params/{name}/bias")
    if layer.norm:
        yield Entry(f"{layer.norm}.weight", f"params/{name}/norm/scale")
        yield Entry(f"{layer.norm}.bias", f"params/{name}/norm/bias")
        yield Entry(f"{layer.norm}.running_mean", f"batch_stats/{name}/norm/mean")
        yield Entry(f"{layer.norm}.running_var", f"batch_stats/{name}/norm/var")


def _layers(tensors: Tensors, root: str) -> list[Layer]:
    """The convolutions and linear layers under `root`, in the order of their numbers."""
    modules = sorted({_module(key) for key in tensors if key.startswith(f"{root}.")}, key=_order)
    found: list[Layer] = []
    for before, module in itertools.pairwise(["", *modules]):
        if f"{module}.running_mean" in tensors:
            if found and found[-1].prefix == before:
                found[-1] = found[-1]._replace(norm=module)
        elif f"{module}.weight" in tensors:
            shape = tensors[f"{module}.weight"].shape
            if len(shape) in (2, 4) and 0 not in shape:  # whatever else there is will be listed as without a place
                found.append(Layer(module, shape, f"{module}.bias" in tensors, ""))
    return found


def _roots(tensors: Tensors, known: Container[str]) -> list[str]:
    """Prefixes that end in a known name and are followed by a number, such as `netG.main`."""
    roots = dict.fromkeys(_root(key) for key in tensors)
    return [root for root in roots if _last(root) in known and _layers(tensors, root)]


def _reads_images(tensors: Tensors, root: str) -> bool:
    """A discriminator's first weight is `[out, 1 or 3, k, k]`, a generator's `[latent, many, k, k]`."""
    shape = _layers(tensors, root)[0].shape
    return len(shape) == 4 and shape[1] in (1, 3)


def _above(root: str) -> str:
    return root.rpartition(".")[0]


def _module(key: str) -> str:
    return key.rpartition(".")[0]


def _root(key: str) -> str:
    return ".".join(itertools.takewhile(lambda part: not _is_number(part), key.split(".")))


def _last(root: str) -> str:
    return root.rpartition(".")[2]


def _order(module: str) -> list[tuple[bool, int, str]]:
    return [(True, int(p), "") if _is_number(p) else (False, 0, p) for p in module.split(".")]


def _is_number(part: str) -> bool:
    return part.isdecimal() and len(part) < 6
