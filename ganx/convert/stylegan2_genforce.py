"""StyleGAN2 and StyleGAN2-ADA as genforce names them: `synthesis.layer{l}`, `synthesis.output{b}`, `mapping.dense{i}`.

Style biases are stored without the 1 that they start from, and no kernel is turned. The earlier form joins a class by a
table `mapping.label_weight` and has a logit for each class; the ADA form embeds it, `LabelEmbed`, in both networks.
genforce writes the shortcut of a "resnet" generator over the layer beside it, so there is none to bring in.
"""

from __future__ import annotations

import functools

from ganx.convert import stylegan2 as shared
from ganx.convert.keymap import Entry, Plan, Source, join
from ganx.errors import GanxError

NAME = "stylegan2"
LAYOUT = "genforce"
IGNORED = r"(^|\.)(filter|upsample|downsample)\.kernel$"

_LAYER = {
    ".weight": ("kernel", "conv"),
    ".bias": ("bias", "same"),
    ".style.weight": ("style/kernel", "dense"),
    ".style.bias": ("style/bias", "same"),
}
_CONV = {".weight": ("kernel", "conv"), ".bias": ("bias", "same")}
_DENSE = {".weight": ("kernel", "dense"), ".bias": ("bias", "same")}
_FLAT = {**_DENSE, ".weight": ("kernel", "chw_rows:4x4")}


def generator_roots(source: Source) -> list[str]:
    """Prefixes of its generators, `generator_smooth` before `generator`."""
    return shared.roots(source, "synthesis.early_layer.const")


def discriminator_root(source: Source) -> str | None:
    """The prefix of its discriminator, None if there is none; the earlier families' have no filters of four taps."""
    found = shared.roots(source, "input0.weight")
    return next(
        (r for r in found if _has(source, r, "layer1.filter.kernel") or _has(source, r, "skip_layer0.weight")), None
    )


def generator(source: Source, root: str) -> Plan:
    """The generator under a prefix; errors as for `ganx.convert.stylegan2.generator_plan`."""
    at = functools.partial(join, root)
    layers = shared.numbers_of(source, at("synthesis.layer{}.weight"))
    shared.check_filters(source, root, "filter.kernel")
    entries = [Entry(at("truncation.w_avg"), "averages/map/w_avg")]
    for i in shared.numbers_of(source, at("mapping.dense{}.weight")):
        entries += shared.layer(at(f"mapping.dense{i}"), f"map/fc{i}", _DENSE)
    if _has(source, root, "mapping.label_weight"):
        entries.append(Entry(at("mapping.label_weight"), "params/map/embed/kernel"))
    if _has(source, root, "mapping.LabelEmbed.weight"):
        entries += shared.layer(at("mapping.LabelEmbed"), "map/embed", _DENSE)
    entries.append(Entry(at("synthesis.early_layer.const"), "params/layer0/const", "channels_last"))
    for i in layers:
        entries += shared.layer(at(f"synthesis.layer{i}"), f"layer{i}", _LAYER)
        entries.append(Entry(at(f"synthesis.layer{i}.noise_strength"), f"params/layer{i}/noise_strength"))
        entries.append(Entry(at(f"synthesis.layer{i}.noise"), f"constants/layer{i}/noise", "first|first"))
    skip = _has(source, root, "synthesis.output0.weight")
    for block in range(0 if skip else len(layers) // 2, len(layers) // 2 + 1):
        entries += shared.layer(at(f"synthesis.output{block}"), f"rgb{block}", _LAYER)
    return shared.generator_plan(source, entries, architecture="skip" if skip else "orig", style_offset=1.0)


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator under a prefix; errors as for `ganx.convert.stylegan2.discriminator_plan`."""
    at = functools.partial(join, root)
    layers = len(shared.numbers_of(source, at("layer{}.weight")))
    shared.check_filters(source, root, "filter.kernel")
    if layers < 5 or layers % 2 == 0:
        raise GanxError(f"a StyleGAN2 discriminator has an odd number of layers from 5 up; this one has {layers}")
    blocks = (layers - 3) // 2
    architecture = "resnet" if _has(source, root, "skip_layer0.weight") else "orig"
    architecture = "skip" if _has(source, root, "input1.weight") else architecture
    entries = shared.layer(at("input0"), "fromrgb", _CONV)
    for j in range(blocks):
        side = 4 << (blocks - j)
        entries += shared.layer(at(f"layer{2 * j}"), f"b{side}/conv0", _CONV)
        entries += shared.layer(at(f"layer{2 * j + 1}"), f"b{side}/conv1", _CONV)
        if architecture == "resnet":
            entries.append(Entry(at(f"skip_layer{j}.weight"), f"params/b{side}/skip/kernel", "conv"))
        if architecture == "skip":
            entries += shared.layer(at(f"input{j + 1}"), f"fromrgb{side // 2}", _CONV)
    entries += shared.layer(at(f"layer{layers - 3}"), "b4/conv", _CONV)
    entries += shared.layer(at(f"layer{layers - 2}"), "b4/fc", _FLAT)
    entries += shared.layer(at(f"layer{layers - 1}"), "b4/out", _DENSE)
    if _has(source, root, "LabelEmbed.weight"):
        entries += shared.layer(at("LabelEmbed"), "cmap/embed", _DENSE)
    return shared.discriminator_plan(source, entries, 4 << blocks, architecture=architecture)


def _has(source: Source, root: str, name: str) -> bool:
    return join(root, name) in source.tensors
