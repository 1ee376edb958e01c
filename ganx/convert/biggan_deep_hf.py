"""BigGAN-deep in the names of pytorch-pretrained-BigGAN: the TF-Hub generators, `pytorch_model.bin` with `config.json`.

The configuration says which blocks double the size and what epsilon is. Without it they are every second block and
1e-4, as in all three published models.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from ganx.convert.keymap import Entry, Plan, Source, Tensors, join, plain_number
from ganx.errors import GanxError
from ganx.models.biggan import BOTTOM
from ganx.models.biggan_deep import BigGanDeepGenerator, DeepBlock

NAME = "biggan_deep"
LAYOUT = "huggingface"

_FIRST = "generator.gen_z.weight_orig"


def generator_roots(source: Source) -> list[str]:
    """Prefixes of generators."""
    ends = [name for name in source.tensors if name == _FIRST or name.endswith(f".{_FIRST}")]
    return [name[: -len(_FIRST)].rstrip(".") for name in ends]


def discriminator_root(source: Source) -> str | None:
    """None: the discriminators were never released."""
    del source
    return None


def discriminator(source: Source, root: str) -> Plan:
    """There is none to describe."""
    raise GanxError(f"pytorch-pretrained-BigGAN has no discriminator, so there is none under {root!r}")


def generator(source: Source, root: str) -> Plan:
    """The generator that the tensors under `root` describe."""
    tensors, body = source.tensors, join(root, "generator")
    blocks, attention = _order(tensors, body)
    embed, classes = _shape(tensors, join(root, "embeddings.weight"))
    rows, condition = _shape(tensors, f"{body}.gen_z.weight_orig")
    features = [_shape(tensors, f"{block}.conv_3.weight_orig")[0] for block in blocks]
    epsilon = _epsilon(source)
    module = BigGanDeepGenerator(
        width=rows // BOTTOM**2,
        blocks=tuple(map(DeepBlock, features, _doubling(source, len(blocks)))),
        classes=classes,
        embed=embed,
        latent=condition - embed,
        attention=tuple(where for where, _ in attention),
        rgb_features=_shape(tensors, f"{body}.conv_to_rgb.weight_orig")[0],
        rows=_shape(tensors, f"{body}.bn.running_means")[0],
        norm_epsilon=epsilon,
        rgb_epsilon=epsilon,
        spectral="stored",
        spectral_epsilon=epsilon,
    )
    entries = [Entry(join(root, "embeddings.weight"), "params/shared/embedding", "dense")]
    entries += _weight(tensors, f"{body}.gen_z", "gen_z", "dense")
    for i, block in enumerate(blocks):
        entries += _block(tensors, block, f"block{i}")
    for number, (_, layer) in enumerate(attention, 1):
        entries += _attention(tensors, layer, "attn" if number == 1 else f"attn{number}")
    entries += [Entry(f"{body}.bn.weight", "params/rgb/norm/scale"), Entry(f"{body}.bn.bias", "params/rgb/norm/bias")]
    entries += _statistics(f"{body}.bn", "rgb/norm")
    entries += _weight(tensors, f"{body}.conv_to_rgb", "rgb/conv", "conv")
    return Plan(module, jax.ShapeDtypeStruct((1, module.latent), jnp.float32), entries)


def _order(tensors: Tensors, body: str) -> tuple[list[str], list[tuple[int, str]]]:
    """The blocks, and each attention layer with the number of blocks before it; they share one numbering."""
    numbered = (f"{body}.layers.{i}" for i in itertools.count())
    kinds = ("gamma", "conv_0.weight_orig")
    layers = list(itertools.takewhile(lambda layer: any(f"{layer}.{kind}" in tensors for kind in kinds), numbered))
    is_attention = [f"{layer}.gamma" in tensors for layer in layers]
    blocks = [layer for layer, other in zip(layers, is_attention, strict=True) if not other]
    places = enumerate(zip(layers, is_attention, strict=True))
    return blocks, [(i - sum(is_attention[:i]), layer) for i, (layer, here) in places if here]


def _doubling(source: Source, count: int) -> list[bool]:
    """Which blocks double the size."""
    listed = source.facts.get("config.layers")
    if listed is None:
        return [i % 2 == 1 for i in range(count)]
    if not isinstance(listed, list) or not all(isinstance(x, list) and x and isinstance(x[0], bool) for x in listed):
        raise GanxError("config.json lists its layers in an unknown way; download it again")
    if len(listed) != count:
        raise GanxError(f"config.json lists {len(listed)} layers, and the file has {count}; they belong to two models")
    return [layer[0] for layer in listed]


def _epsilon(source: Source) -> float:
    value = source.facts.get("config.eps", 1e-4)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise GanxError(f"its eps is {repr(value)[:40]} in config.json, and no number; download it again")
    return float(plain_number(value, "eps", 0.0))


def _block(tensors: Tensors, block: str, path: str) -> Iterator[Entry]:
    for i in range(4):
        yield from _weight(tensors, f"{block}.conv_{i}", f"{path}/conv{i}", "conv")
        yield from _weight(tensors, f"{block}.bn_{i}.scale", f"{path}/norm{i}/scale", "dense")
        yield from _weight(tensors, f"{block}.bn_{i}.offset", f"{path}/norm{i}/offset", "dense")
        yield from _statistics(f"{block}.bn_{i}", f"{path}/norm{i}")


def _attention(tensors: Tensors, layer: str, path: str) -> Iterator[Entry]:
    for source, target in (("theta", "theta"), ("phi", "phi"), ("g", "g"), ("o_conv", "o")):
        yield from _weight(tensors, f"{layer}.snconv1x1_{source}", f"{path}/{target}", "conv")
    yield Entry(f"{layer}.gamma", f"params/{path}/gamma", "reshape")


def _statistics(prefix: str, path: str) -> Iterator[Entry]:
    yield Entry(f"{prefix}.running_means", f"batch_stats/{path}/mean")
    yield Entry(f"{prefix}.running_vars", f"batch_stats/{path}/var")


def _weight(tensors: Tensors, prefix: str, path: str, transform: str) -> Iterator[Entry]:
    """A weight with its bias, if any, and the two vectors of its sigma; v is flat in I,H,W order."""
    window = _shape(tensors, f"{prefix}.weight_orig")[2:]
    flat = f"chw_last:{window[0]}x{window[1]}|reshape" if window else "same"
    yield Entry(f"{prefix}.weight_orig", f"params/{path}/kernel", transform)
    if f"{prefix}.bias" in tensors:
        yield Entry(f"{prefix}.bias", f"params/{path}/bias")
    yield Entry(f"{prefix}.weight_u", f"spectral/{path}/u")
    yield Entry(f"{prefix}.weight_v", f"spectral/{path}/v", flat)


def _shape(tensors: Tensors, name: str) -> tuple[int, ...]:
    if name not in tensors:
        raise GanxError(f"it looks like a BigGAN-deep, but has no tensor {name!r}")
    found = tensors[name].shape
    if len(found) not in (2, 4) or 0 in found:
        raise GanxError(f"tensor {name!r} has shape {list(found)}, which no BigGAN-deep has there")
    return found
