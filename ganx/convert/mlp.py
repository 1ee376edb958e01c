"""Generators and discriminators that are sequences of linear layers, `0.weight`, `2.weight`, `4.weight`, …

Shapes tell the widths; the activations (ReLU and tanh in G, leaky ReLU in D) and the normal prior belong to the layout,
which is that of the many tutorials with `nn.Sequential(nn.Linear, nn.ReLU, …)`. Images are square and of one channel.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from ganx.convert.keymap import Entry, Plan, Source, join
from ganx.models.mlp import MlpDiscriminator, MlpGenerator

NAME = "mlp"
LAYOUT = "pytorch-mlp"

_WEIGHT = re.compile(r"(?:(.*)\.)?(\d{1,4})\.weight")
MAX_LAYERS = 64
Shapes = dict[int, tuple[int, ...]]


def generator_roots(source: Source) -> list[str]:
    """The prefixes of sequences that end in a square image."""
    return [root for root, shapes in _chains(source) if _side(list(shapes.values())[-1][0])]


def discriminator_root(source: Source) -> str | None:
    """The prefix of a sequence from a square image to one logit, None if there is none."""
    found = [r for r, s in _chains(source) if list(s.values())[-1][0] == 1 and _side(next(iter(s.values()))[1])]
    return found[0] if found else None


def generator(source: Source, root: str) -> Plan:
    """The generator that the tensors under `root` describe."""
    shapes = dict(_chains(source))[root]
    *hidden, pixels = [shape[0] for shape in shapes.values()]
    latent, side = next(iter(shapes.values()))[1], _side(pixels)
    module = MlpGenerator(tuple(hidden), (side, side, 1), latent, "normal", "relu", "tanh")
    entries = list(_entries(root, shapes, module.stage_names()))
    return Plan(module, jax.ShapeDtypeStruct((1, latent), jnp.float32), entries)


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator that the tensors under `root` describe."""
    shapes = dict(_chains(source))[root]
    hidden = tuple(shape[0] for shape in list(shapes.values())[:-1])
    side = _side(next(iter(shapes.values()))[1])
    module = MlpDiscriminator(hidden, tuple(False for _ in hidden), "lrelu")
    names = (*(f"fc{i}" for i in range(len(hidden))), "out")
    example = jax.ShapeDtypeStruct((1, side, side, 1), jnp.float32)
    return Plan(module, example, list(_entries(root, shapes, names)))


def _entries(root: str, shapes: Shapes, names: tuple[str, ...]) -> Iterator[Entry]:
    for number, name in zip(shapes, names, strict=True):
        yield Entry(join(root, f"{number}.weight"), f"params/{name}/kernel", "dense")
        yield Entry(join(root, f"{number}.bias"), f"params/{name}/bias")


def _chains(source: Source) -> list[tuple[str, Shapes]]:
    """Sequences of two or more linear layers, each as wide as the next is deep, by prefix."""
    found: dict[str, Shapes] = {}
    if any(tensor.ndim > 2 for tensor in source.tensors.values()):
        return []  # a mapping network beside convolutions looks the same
    for name, tensor in source.tensors.items():
        match = _WEIGHT.fullmatch(name)
        if match and f"{name.removesuffix('weight')}bias" in source.tensors:
            found.setdefault(match[1] or "", {})[int(match[2])] = tensor.shape
    ordered = [(root, dict(sorted(shapes.items()))) for root, shapes in found.items()]
    return [(root, shapes) for root, shapes in ordered if _fits(list(shapes.values()))]


def _fits(shapes: list[tuple[int, ...]]) -> bool:
    if not 2 <= len(shapes) <= MAX_LAYERS or any(len(shape) != 2 or 0 in shape for shape in shapes):
        return False
    return all(before[0] == after[1] for before, after in itertools.pairwise(shapes))


def _side(pixels: int) -> int:
    """Side of a square of that many pixels, 0 if there is none of more than one."""
    side = math.isqrt(pixels)
    return side if side * side == pixels and side > 1 else 0
