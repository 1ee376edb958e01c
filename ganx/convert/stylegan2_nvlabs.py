"""StyleGAN2 and StyleGAN2-ADA as NVIDIA's PyTorch code names them, the StyleGAN2 inside StyleGAN3's code included.

Blocks `synthesis.b{r}` with `conv0`, `conv1`, `torgb` and, in "resnet", `skip`; `mapping.fc{i}`. Kernels of layers that
double the size are stored turned. What tensors do not tell stands beside them in the pickle: the clamp, the decay of
the mean style, the groups of the minibatch deviation.
"""

from __future__ import annotations

import functools
import re

from ganx.convert import stylegan2 as shared
from ganx.convert.keymap import Entry, Plan, Source, is_under, join

NAME = "stylegan2"
LAYOUT = "nvlabs"
IGNORED = r"(^|\.)resample_filter$"

_ACTIVATION = re.compile(r"(^|\.)(conv\d?|fc\d*|fromrgb)\.activation$")

_AFFINE = {".affine.weight": ("style/kernel", "dense"), ".affine.bias": ("style/bias", "same")}
_LAYER = {".weight": ("kernel", "conv"), ".bias": ("bias", "same"), **_AFFINE}
_UP = {**_LAYER, ".weight": ("kernel", "conv_turned")}
_DENSE = {".weight": ("kernel", "dense"), ".bias": ("bias", "same")}
_CONV = {".weight": ("kernel", "conv"), ".bias": ("bias", "same")}
_FLAT = {**_DENSE, ".weight": ("kernel", "chw_rows:4x4")}
_SKIP = {".weight": ("kernel", "conv")}


def generator_roots(source: Source) -> list[str]:
    """Prefixes of its generators, `G_ema` before `G`."""
    return shared.roots(source, "synthesis.b4.const")


def discriminator_root(source: Source) -> str | None:
    """The prefix of its discriminator, None if there is none."""
    return next((root for root in shared.roots(source, "b4.fc.weight") if _has(source, root, "b4.out.weight")), None)


def generator(source: Source, root: str) -> Plan:
    """The generator under a prefix; errors as for `ganx.convert.stylegan2.generator_plan`."""
    at = functools.partial(join, root)
    sides = shared.sides_of(source, at("synthesis.b{}.conv1.weight"))
    shared.check_filters(source, root, "resample_filter")
    shared.check_activations(source, root, _activations(source, root))
    entries = _mapping(source, at("mapping"), "map")
    entries.append(Entry(at("mapping.w_avg"), "averages/map/w_avg"))
    entries.append(Entry(at("synthesis.b4.const"), "params/layer0/const", "channels_last|reshape"))
    architecture = "skip" if _has(source, root, "synthesis.b4.torgb.weight") else "orig"
    architecture = "resnet" if _has(source, root, "synthesis.b8.skip.weight") else architecture
    noise = _has(source, root, "synthesis.b4.conv1.noise_strength")
    for k, side in enumerate(sides):
        block = at(f"synthesis.b{side}")
        if k:
            entries += _layer(f"{block}.conv0", 2 * k - 1, noise)
        entries += _layer(f"{block}.conv1", 2 * k, noise)
        if k and architecture == "resnet":
            entries += shared.layer(f"{block}.skip", f"layer{2 * k}/skip", _SKIP)
        if architecture == "skip" or side == sides[-1]:
            entries += shared.layer(f"{block}.torgb", f"rgb{k}", _LAYER)
    return shared.generator_plan(
        source,
        entries,
        architecture=architecture,
        layer_noise=noise,
        conv_clamp=float(shared.number(source, root, "synthesis.b4.conv1.conv_clamp", 0.0)),
        w_avg_decay=float(shared.number(source, root, "mapping.w_avg_beta", 0.995)),
        mapping_lr_mul=float(shared.number(source, root, "mapping.fc0.bias_gain", 0.01)),
    )


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator under a prefix; errors as for `ganx.convert.stylegan2.discriminator_plan`."""
    at = functools.partial(join, root)
    sides = [side for side in _powers() if _has(source, root, f"b{side}.conv0.weight")]
    top = sides[-1] if sides else 4
    shared.check_filters(source, root, "resample_filter")
    shared.check_activations(source, root, _activations(source, root))
    architecture = "resnet" if _has(source, root, "b8.skip.weight") else "orig"
    architecture = "skip" if _has(source, root, "b4.fromrgb.weight") else architecture
    entries = shared.layer(at(f"b{top}.fromrgb"), "fromrgb", _CONV)
    for side in sides:
        for name in ("conv0", "conv1"):
            entries += shared.layer(at(f"b{side}.{name}"), f"b{side}/{name}", _CONV)
        if architecture == "resnet":
            entries += shared.layer(at(f"b{side}.skip"), f"b{side}/skip", _SKIP)
        if architecture == "skip":
            entries += shared.layer(at(f"b{side // 2}.fromrgb"), f"fromrgb{side // 2}", _CONV)
    entries += shared.layer(at("b4.conv"), "b4/conv", _CONV)
    entries += shared.layer(at("b4.fc"), "b4/fc", _FLAT) + shared.layer(at("b4.out"), "b4/out", _DENSE)
    entries += _mapping(source, at("mapping"), "cmap")
    return shared.discriminator_plan(
        source,
        entries,
        top,
        architecture=architecture,
        group=shared.group_size(source, root, "b4.mbstd.group_size"),
        conv_clamp=float(shared.number(source, root, "b4.conv.conv_clamp", 0.0)),
        cmap_lr_mul=float(shared.number(source, root, "mapping.fc0.bias_gain", 0.01)),
    )


def _layer(prefix: str, index: int, noise: bool) -> list[Entry]:
    entries = shared.layer(prefix, f"layer{index}", _UP if index % 2 else _LAYER)
    if noise:
        entries.append(Entry(f"{prefix}.noise_strength", f"params/layer{index}/noise_strength"))
        entries.append(Entry(f"{prefix}.noise_const", f"constants/layer{index}/noise"))
    return entries


def _mapping(source: Source, prefix: str, target: str) -> list[Entry]:
    names = [f"fc{i}" for i in shared.numbers_of(source, f"{prefix}.fc{{}}.weight")]
    if f"{prefix}.embed.weight" in source.tensors:
        names.append("embed")
    return [entry for name in names for entry in shared.layer(f"{prefix}.{name}", f"{target}/{name}", _DENSE)]


def _activations(source: Source, root: str) -> list[str]:
    """Where it is told what follows a layer: all of them but those to RGB, to styles and past a block."""
    names = (name.removeprefix(f"{root}.") for name in source.facts if is_under(name, root))
    return [name for name in names if _ACTIVATION.search(name)]


def _powers() -> list[int]:
    return [2**k for k in range(3, 13)]


def _has(source: Source, root: str, name: str) -> bool:
    return join(root, name) in source.tensors
