"""StyleGAN in genforce's names: `mapping.dense{i}`, `synthesis.layer{l}`; the discriminator's `input{j}`."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from ganx.convert.growing import Layer, Names, discriminator_plan, entries, genforce_discriminator, roots_of
from ganx.convert.keymap import Entry, Plan, Source
from ganx.models.stylegan import StyleGanDiscriminator, StyleGanGenerator

NAME = "stylegan"
LAYOUT = "genforce"
IGNORED = r"(^|\.)lod$|\.blur\.kernel$"
FUSED = 128  # from this resolution on, up-sampling kernels are those of a transposed convolution, and turned


def generator_roots(source: Source) -> list[str]:
    """Prefixes under which a generator lies, averaged weights first."""
    return roots_of(source, "synthesis.layer0.const", "synthesis.output0.weight", "mapping.dense0.weight")


def discriminator_root(source: Source) -> str | None:
    """The prefix under which a discriminator lies, None if there is none."""
    return next(iter(roots_of(source, "layer1.blur.kernel", "input0.weight", "input1.weight")), None)


def generator(source: Source, root: str) -> Plan:
    """The generator that the tensors under `root` describe."""
    names = Names(source, root)
    names.check_grown("synthesis.lod")
    blocks, depth = names.count("synthesis.output{}.weight"), names.count("mapping.dense{}.weight")
    outputs = [names.shape(f"synthesis.output{b}.weight") for b in range(blocks)]
    style, latent = names.shape(f"mapping.dense{depth - 1}.weight")[0], names.shape("mapping.dense0.weight")[1]
    classes = 0
    if "mapping.label_weight" in names:
        classes, latent = names.shape("mapping.label_weight")
    module = StyleGanGenerator(tuple(o[1] for o in outputs), outputs[0][0], latent, style, depth, classes)
    found = [*entries(names, _layers(blocks, depth)), *_others(names, 2 * blocks, classes)]
    return Plan(module, jax.ShapeDtypeStruct((1, latent), jnp.float32), found)


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator that the tensors under `root` describe; several outputs are one for each class."""
    names = Names(source, root)
    names.check_grown("lod")
    layers = genforce_discriminator(names)
    return discriminator_plan(StyleGanDiscriminator, names, layers, classes=lambda n: n if n > 1 else 0)


def _layers(blocks: int, depth: int) -> Iterator[Layer]:
    for i in range(depth):
        yield Layer(f"map/fc{i}", f"mapping.dense{i}", "dense")
    for i in range(2 * blocks):
        yield Layer(f"layer{i}/style", f"synthesis.layer{i}.style", "dense")
        if i:
            turned = i % 2 == 0 and 4 << (i // 2) >= FUSED
            yield Layer(f"layer{i}", f"synthesis.layer{i}", "conv_turned" if turned else "conv")
    for b in range(blocks):
        yield Layer(f"rgb/r{4 << b}", f"synthesis.output{b}", "conv")


def _others(names: Names, layers: int, classes: int) -> Iterator[Entry]:
    yield Entry(names.full("truncation.w_avg"), "averages/map/w_avg")
    if classes:
        yield Entry(names.full("mapping.label_weight"), "params/map/embed/kernel")
    yield Entry(names.full("synthesis.layer0.const"), "params/layer0/const", "channels_last")
    yield Entry(names.full("synthesis.layer0.bias"), "params/layer0/bias")
    for i in range(layers):
        yield Entry(names.full(f"synthesis.layer{i}.apply_noise.weight"), f"params/layer{i}/noise_strength")
        yield Entry(names.full(f"synthesis.layer{i}.apply_noise.noise"), f"constants/layer{i}/noise", "reshape")
