"""StyleGAN2 as rosinality's PyTorch code names it: `conv1`, `convs.{i}`, `to_rgb1`, `to_rgbs.{i}`, `style.{i}`.

Kernels have a leading axis of one, those of layers that double the size are turned. Only files converted from
TensorFlow hold a running mean of the style codes (`latent_avg` beside the networks); without one it is found here, from
the codes of random latents.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from ganx.convert import stylegan2 as shared
from ganx.convert.keymap import Entry, Plan, Source, join

NAME = "stylegan2"
LAYOUT = "rosinality"
IGNORED = r"(^|\.)(blur|upsample|downsample|convs\.\d+\.(conv2|skip)\.0)\.kernel$"

MEAN_OF = 8192  # latents whose codes give a running mean that the file lacks

_STYLE = {
    ".conv.modulation.weight": ("style/kernel", "dense"),
    ".conv.modulation.bias": ("style/bias", "same"),
}
_LAYER = {
    ".conv.weight": ("kernel", "first|conv"),
    **_STYLE,
    ".activate.bias": ("bias", "same"),
    ".noise.weight": ("noise_strength", "first"),
}
_UP = {**_LAYER, ".conv.weight": ("kernel", "first|conv_turned")}
_RGB = {".conv.weight": ("kernel", "first|conv"), **_STYLE, ".bias": ("bias", "reshape")}
_DENSE = {".weight": ("kernel", "dense"), ".bias": ("bias", "same")}
_FLAT = {**_DENSE, ".weight": ("kernel", "chw_rows:4x4")}


def generator_roots(source: Source) -> list[str]:
    """Prefixes of its generators, `g_ema` before `g`."""
    return shared.roots(source, "conv1.conv.modulation.weight")


def discriminator_root(source: Source) -> str | None:
    """The prefix of its discriminator, None if there is none."""
    return next(iter(shared.roots(source, "final_linear.0.weight")), None)


def generator(source: Source, root: str) -> Plan:
    """The generator under a prefix; errors as for `ganx.convert.stylegan2.generator_plan`."""
    at = functools.partial(join, root)
    shared.check_filters(source, root, "blur.kernel")
    entries = [Entry(at("input.input"), "params/layer0/const", "channels_last")]
    dense = 0
    while at(f"style.{dense + 1}.weight") in source.tensors:  # style.0 normalises
        entries += shared.layer(at(f"style.{dense + 1}"), f"map/fc{dense}", _DENSE)
        dense += 1
    names = ["conv1", *(f"convs.{i}" for i in shared.numbers_of(source, at("convs.{}.conv.weight")))]
    for index, name in enumerate(names):
        entries += shared.layer(at(name), f"layer{index}", _UP if index % 2 else _LAYER)
        entries.append(Entry(at(f"noises.noise_{index}"), f"constants/layer{index}/noise", "first|first"))
    for block in range(len(names) // 2 + 1):
        entries += shared.layer(at(f"to_rgbs.{block - 1}" if block else "to_rgb1"), f"rgb{block}", _RGB)
    if "latent_avg" in source.tensors:
        how = "same" if source.tensors["latent_avg"].ndim == 1 else "first"
        return shared.generator_plan(source, [*entries, Entry("latent_avg", "averages/map/w_avg", how)])
    plan = shared.generator_plan(source, entries)
    return plan._replace(made={"averages/map/w_avg": _mean_code(plan, source)})


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator under a prefix; errors as for `ganx.convert.stylegan2.discriminator_plan`."""
    at = functools.partial(join, root)
    blocks = 0
    while at(f"convs.{blocks + 1}.conv1.0.weight") in source.tensors:
        blocks += 1
    shared.check_filters(source, root, ".0.kernel")
    entries = _conv(at("convs.0"), "0.weight", "1.bias", "fromrgb")
    for j in range(1, blocks + 1):
        block, target = at(f"convs.{j}"), f"b{8 << (blocks - j)}"
        entries += _conv(block, "conv1.0.weight", "conv1.1.bias", f"{target}/conv0")
        entries += _conv(block, "conv2.1.weight", "conv2.2.bias", f"{target}/conv1")
        entries.append(Entry(f"{block}.skip.1.weight", f"params/{target}/skip/kernel", "conv"))
    entries += _conv(at("final_conv"), "0.weight", "1.bias", "b4/conv")
    entries += shared.layer(at("final_linear.0"), "b4/fc", _FLAT)
    entries += shared.layer(at("final_linear.1"), "b4/out", _DENSE)
    return shared.discriminator_plan(source, entries, 4 << blocks)


def _conv(prefix: str, weight: str, bias: str, target: str) -> list[Entry]:
    return [
        Entry(f"{prefix}.{weight}", f"params/{target}/kernel", "conv"),
        Entry(f"{prefix}.{bias}", f"params/{target}/bias"),
    ]


def _mean_code(plan: Plan, source: Source) -> np.ndarray:
    """The mean style code of `MEAN_OF` latents, from the mapping's tensors: float32 `[style]`."""
    x: np.ndarray = np.random.default_rng(0).standard_normal((MEAN_OF, plan.module.latent), np.float32)
    x /= np.sqrt(np.square(x).mean(1, keepdims=True) + 1e-8)
    names = {entry.target: entry.source for entry in plan.entries}
    for i in range(plan.module.mapping_layers):
        weight, bias = (source.tensors[names[f"params/map/fc{i}/{part}"]] for part in ("kernel", "bias"))
        x = 0.01 * (x @ weight.astype(np.float32).T / math.sqrt(x.shape[1]) + bias.astype(np.float32))
        x = math.sqrt(2) * np.where(x >= 0, x, 0.2 * x)
    return x.mean(0)
