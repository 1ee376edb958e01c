"""StyleGAN2 and StyleGAN2-ADA as NVIDIA's TensorFlow code names them: `synthesis/{r}x{r}/Conv0_up/weight` and so on.

Kernels are HWIO and dense weights `[in, out]` already, and no kernel is turned; style biases lack the 1 that they start
from. Derived from the names and shapes that the published conversion to PyTorch reads; no file of this kind was at hand
to compare images with. What tensors do not tell is in the pickle's `static_kwargs`.
"""

from __future__ import annotations

import functools

from ganx.convert import stylegan2 as shared
from ganx.convert.keymap import Entry, Plan, Source, join
from ganx.errors import GanxError

NAME = "stylegan2"
LAYOUT = "stylegan2-tf"
IGNORED = r"(^|[./])(lod|resample_kernel|w_avg_beta|dlatent_std|pl_mean(_var)?)$"

_PLAIN = {"weight": ("kernel", "same"), "bias": ("bias", "same")}
_LAYER = {**_PLAIN, "mod_weight": ("style/kernel", "same"), "mod_bias": ("style/bias", "same")}
_FLAT = {**_PLAIN, "weight": ("kernel", "chw_first:4x4")}


def generator_roots(source: Source) -> list[str]:
    """Prefixes of its generators, `Gs` (the moving average) before `G`."""
    return shared.roots(source, "synthesis/4x4/Conv/mod_weight")


def discriminator_root(source: Source) -> str | None:
    """The prefix of its discriminator, None if there is none; StyleGAN's ends in `4x4/Dense1` instead."""
    return next(
        (root for root in shared.roots(source, "4x4/Dense0/weight") if _has(source, root, "Output/weight")), None
    )


def generator(source: Source, root: str) -> Plan:
    """The generator under a prefix; errors as for `ganx.convert.stylegan2.generator_plan`."""
    at = functools.partial(join, root)
    sides = shared.sides_of(source, at("synthesis/{0}x{0}/Conv1/weight"), first=at("synthesis/4x4/Conv/weight"))
    shared.check_activations(source, root, ["static_kwargs.nonlinearity", "static_kwargs.mapping_nonlinearity"])
    _check_filter(source, root)
    entries = _mapping(source, at("mapping/"), "Dense", "map")
    entries.append(Entry(at("dlatent_avg"), "averages/map/w_avg"))
    entries.append(Entry(at("synthesis/4x4/Const/const"), "params/layer0/const", "channels_last"))
    architecture = "skip" if _has(source, root, "synthesis/4x4/ToRGB/weight") else "orig"
    architecture = "resnet" if _has(source, root, "synthesis/8x8/Skip/weight") else architecture
    noise = _has(source, root, "synthesis/4x4/Conv/noise_strength")
    for k, side in enumerate(sides):
        block = at(f"synthesis/{side}x{side}/")
        for name, index in (("Conv0_up", 2 * k - 1), ("Conv1", 2 * k)) if k else (("Conv", 0),):
            entries += shared.layer(f"{block}{name}/", f"layer{index}", _LAYER)
            if noise:
                entries.append(Entry(f"{block}{name}/noise_strength", f"params/layer{index}/noise_strength"))
                entries.append(Entry(at(f"synthesis/noise{index}"), f"constants/layer{index}/noise", "first|first"))
        if k and architecture == "resnet":
            entries.append(Entry(f"{block}Skip/weight", f"params/layer{2 * k}/skip/kernel"))
        if architecture == "skip" or side == sides[-1]:
            entries += shared.layer(f"{block}ToRGB/", f"rgb{k}", _LAYER)
    return shared.generator_plan(
        source,
        entries,
        architecture=architecture,
        layer_noise=noise,
        style_offset=1.0,
        conv_clamp=float(shared.number(source, root, "static_kwargs.conv_clamp", 0.0)),
        w_avg_decay=float(shared.number(source, root, "static_kwargs.w_avg_beta", 0.995)),
        mapping_lr_mul=float(shared.number(source, root, "static_kwargs.mapping_lrmul", 0.01)),
    )


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator under a prefix; errors as for `ganx.convert.stylegan2.discriminator_plan`."""
    at = functools.partial(join, root)
    sides = shared.sides_of(source, at("{0}x{0}/Conv0/weight"), first=at("4x4/Conv/weight"))
    shared.check_activations(source, root, ["static_kwargs.nonlinearity"])
    _check_filter(source, root)
    architecture = "resnet" if _has(source, root, "8x8/Skip/weight") else "orig"
    architecture = "skip" if _has(source, root, "4x4/FromRGB/weight") else architecture
    top = sides[-1]
    entries = shared.layer(at(f"{top}x{top}/FromRGB/"), "fromrgb", _PLAIN)
    for side in sides[1:]:
        block, half = at(f"{side}x{side}/"), side // 2
        entries += shared.layer(f"{block}Conv0/", f"b{side}/conv0", _PLAIN)
        entries += shared.layer(f"{block}Conv1_down/", f"b{side}/conv1", _PLAIN)
        if architecture == "resnet":
            entries.append(Entry(f"{block}Skip/weight", f"params/b{side}/skip/kernel"))
        if architecture == "skip":
            entries += shared.layer(at(f"{half}x{half}/FromRGB/"), f"fromrgb{half}", _PLAIN)
    entries += shared.layer(at("4x4/Conv/"), "b4/conv", _PLAIN) + shared.layer(at("4x4/Dense0/"), "b4/fc", _FLAT)
    entries += shared.layer(at("Output/"), "b4/out", _PLAIN) + _mapping(source, at(""), "Mapping", "cmap")
    return shared.discriminator_plan(
        source,
        entries,
        top,
        architecture=architecture,
        group=shared.group_size(source, root, "static_kwargs.mbstd_group_size"),
        conv_clamp=float(shared.number(source, root, "static_kwargs.conv_clamp", 0.0)),
        cmap_lr_mul=float(shared.number(source, root, "static_kwargs.mapping_lrmul", 0.1)),
    )


def _mapping(source: Source, prefix: str, dense: str, target: str) -> list[Entry]:
    entries = []
    for i in shared.numbers_of(source, f"{prefix}{dense}{{}}/weight"):
        entries += shared.layer(f"{prefix}{dense}{i}/", f"{target}/fc{i}", _PLAIN)
    if f"{prefix}LabelEmbed/weight" in source.tensors:
        entries += shared.layer(f"{prefix}LabelEmbed/", f"{target}/embed", _PLAIN)
    if f"{prefix}LabelConcat/weight" in source.tensors:
        entries.append(Entry(f"{prefix}LabelConcat/weight", f"params/{target}/embed/kernel"))
    return entries


def _check_filter(source: Source, root: str) -> None:
    taps = source.facts.get(join(root, "static_kwargs.resample_kernel"), [1, 3, 3, 1])
    if taps not in (None, [1, 3, 3, 1]):
        raise GanxError(f"it resamples through {taps}; ganx's StyleGAN2 through [1, 3, 3, 1]")


def _has(source: Source, root: str, name: str) -> bool:
    return join(root, name) in source.tensors
