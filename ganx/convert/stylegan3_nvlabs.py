"""StyleGAN3 as NVIDIA's PyTorch code names it, configurations T and R.

Layers `synthesis.L{i}_{size}_{channels}`, the last of which draws RGB; `synthesis.input`; `mapping.fc{i}`. Names and
shapes tell the sizes, the channels and the lengths of the filters. Where bands end is told by the hyper-parameters that
a pickle carries, otherwise the published ones are taken; either way the filters that follow must be the stored ones.
Its discriminator is a StyleGAN2's, under the names of `stylegan2_nvlabs`.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganx.convert import stylegan2_nvlabs
from ganx.convert.keymap import Entry, Plan, Source, join, plain_number
from ganx.errors import GanxError
from ganx.models import stylegan3
from ganx.models.filtered import OVERSAMPLING

NAME = "stylegan3"
LAYOUT = "nvlabs"
IGNORED = stylegan2_nvlabs.IGNORED  # of the discriminator
TOLERANCE = 1e-5  # of a filter's tap, as a share of the largest
_ADVICE = "give the original .pkl, which carries them, if this is a state dict"

_DENSE = {"weight": ("kernel", "dense"), "bias": ("bias", "same")}
_STYLE = {"affine.weight": ("style/kernel", "dense"), "affine.bias": ("style/bias", "same")}
_LAYER = {"weight": ("kernel", "conv"), "bias": ("bias", "same"), **_STYLE}
_INPUT = {"weight": ("kernel", "dense|reshape"), **_STYLE}
_FILTERS = ("up_filter", "down_filter")


class _Layer(NamedTuple):
    name: str
    size: int
    channels: int


def generator_roots(source: Source) -> list[str]:
    """Prefixes of its generators, `G_ema` before `G`."""
    ending = "synthesis.input.freqs"
    found = [n.removesuffix(ending).removesuffix(".") for n in source.tensors if f".{n}".endswith(f".{ending}")]
    return sorted(found, key=lambda root: "ema" not in root.rpartition(".")[2])


def discriminator_root(source: Source) -> str | None:
    """The prefix of its discriminator, None if there is none."""
    return stylegan2_nvlabs.discriminator_root(source)


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator under a prefix: StyleGAN2's."""
    return stylegan2_nvlabs.discriminator(source, root)


def generator(source: Source, root: str) -> Plan:
    """The generator under a prefix.

    Raises:
      GanxError: tensors are missing, or sizes or filters are not those of the hyper-parameters.
    """
    layers = _layers(source, root)
    module = _module(source, root, layers)
    entries = _entries(source, root, layers)
    _check(source, module, layers)
    return Plan(module, jax.ShapeDtypeStruct((1, module.latent), jnp.float32), entries)


def _layers(source: Source, root: str) -> list[_Layer]:
    pattern = re.compile(re.escape(join(root, "synthesis.")) + r"L(\d{1,3})_(\d{1,5})_(\d{1,5})\.weight")
    matches = [match for match in map(pattern.fullmatch, source.tensors) if match]
    found = {int(m[1]): _Layer(m[0].removesuffix(".weight"), int(m[2]), int(m[3])) for m in matches}
    if len(found) < 3 or sorted(found) != list(range(len(found))):
        raise GanxError("a StyleGAN3 generator has layers L0, L1, … without a gap, three or more; this file does not")
    return [found[i] for i in sorted(found)]


def _module(source: Source, root: str, layers: list[_Layer]) -> Any:
    """Sizes from the tensors, bands from the hyper-parameters."""
    at, shape = functools.partial(join, root), functools.partial(_shape, source)
    number = functools.partial(_number, source, root)
    embed = source.tensors.get(at("mapping.embed.weight"), np.zeros((0, 0))).shape
    first = shape(at("mapping.fc0.weight"), 2)
    kernel = shape(f"{layers[0].name}.weight", 4)[2]
    filters = [source.tensors.get(f"{layer.name}.down_filter") for layer in layers[:-1]]
    radial = [taps is not None and taps.ndim == 2 for taps in filters]
    critical = radial[::-1].index(True) if any(radial) else 2
    up = shape(f"{layers[0].name}.up_filter", 1)[0]
    return stylegan3.generator(
        layers[-1].size,
        channels=layers[-1].channels,
        latent=first[1] - embed[0],
        style=first[0],
        mapping_layers=sum(at(f"mapping.fc{i}.weight") in source.tensors for i in range(64)),
        classes=embed[1],
        layers=len(layers) - 1,
        critical=int(number("num_critical", critical)),
        widths=tuple(layer.channels for layer in layers[:-1]),
        kernel=kernel,
        radial=any(radial),
        first_cutoff=number("first_cutoff", 2.0),
        first_stopband=number("first_stopband", 2**2.1),
        last_stopband=number("last_stopband_rel", 2**0.3),
        margin=int(number("margin_size", 10)),
        filter_size=_filter_size(number("filter_size", up // OVERSAMPLING), up),
        clamp=number("conv_clamp", 256.0),
        output_scale=number("output_scale", 0.25),
    )


def _filter_size(told: float, up: int) -> int:
    """Taps for each factor, which the first layer's filter tells already: a long one takes long to design."""
    if told != up // OVERSAMPLING:
        raise GanxError(f"its filter_size is {told:.4g}, and its first filter has {up} taps; {_ADVICE}")
    return int(told)


def _entries(source: Source, root: str, layers: list[_Layer]) -> list[Entry]:
    at = functools.partial(join, root)
    entries = [Entry(at("mapping.w_avg"), "averages/map/w_avg")]
    names = [*(f"fc{i}" for i in range(64)), "embed"]
    for name in (name for name in names if at(f"mapping.{name}.weight") in source.tensors):
        entries += _group(at(f"mapping.{name}"), f"map/{name}", _DENSE)
    entries += _group(at("synthesis.input"), "input", _INPUT)
    entries += [Entry(at(f"synthesis.input.{x}"), f"constants/input/{x}") for x in ("freqs", "phases", "transform")]
    for index, layer in enumerate(layers):
        target = "rgb" if layer is layers[-1] else f"layer{index}"
        entries += _group(layer.name, target, _LAYER)
        entries.append(Entry(f"{layer.name}.magnitude_ema", f"averages/{target}/magnitude"))
        if target != "rgb":
            entries += [Entry(f"{layer.name}.{x}", f"constants/{target}/{x}") for x in _FILTERS]
    return entries


def _group(prefix: str, target: str, parts: dict[str, tuple[str, str]]) -> list[Entry]:
    return [Entry(f"{prefix}.{part}", f"params/{target}/{path}", how) for part, (path, how) in parts.items()]


def _check(source: Source, module: Any, layers: list[_Layer]) -> None:
    """Refuses hyper-parameters from which other sizes or filters follow than the file holds."""
    for layer, signal in zip(layers, module.signals(), strict=True):
        if layer.size != signal.size:
            raise GanxError(f"{layer.name} would be {signal.size} samples wide by its hyper-parameters; {_ADVICE}")
    for layer, filters in zip(layers, module.filters(), strict=False):
        for name, designed in zip(_FILTERS, filters, strict=True):
            stored = source.tensors.get(f"{layer.name}.{name}", np.zeros(0))
            if stored.shape != designed.shape or np.abs(stored - designed).max() > TOLERANCE * designed.max():
                raise GanxError(f"{layer.name}.{name} is not the filter of its hyper-parameters; {_ADVICE}")


def _shape(source: Source, name: str, axes: int) -> tuple[int, ...]:
    if name not in source.tensors:
        raise GanxError(f"a StyleGAN3 generator has a tensor {name}; this file does not")
    shape = source.tensors[name].shape
    if len(shape) != axes or 0 in shape:
        raise GanxError(f"tensor {name!r} has shape {list(shape)}; a StyleGAN3 generator's has {axes} axes")
    return shape


def _number(source: Source, root: str, name: str, default: float) -> float:
    """A hyper-parameter out of the pickle, `default` where it is not told; None, for "off", is 0.

    Raises:
      GanxError: it is not in any network's range.
    """
    for place in ("_init_kwargs", "_init_kwargs.synthesis_kwargs", "synthesis._init_kwargs", "synthesis"):
        value = source.facts.get(join(root, f"{place}.{name}"), "")
        if value is None:
            return 0.0
        if isinstance(value, int | float):
            return plain_number(value, name, 0.0)
    return default
