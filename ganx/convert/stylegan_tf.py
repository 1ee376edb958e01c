"""StyleGAN in the official TensorFlow names: `mapping/Dense{i}`, `synthesis/{r}x{r}/Conv0_up`, `dlatent_avg`."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from ganx.convert.growing import Layer, Names, discriminator_plan, entries, roots_of, tf_discriminator
from ganx.convert.keymap import Entry, Plan, Source
from ganx.convert.stylegan_genforce import FUSED
from ganx.models.stylegan import StyleGanDiscriminator, StyleGanGenerator

NAME = "stylegan"
LAYOUT = "stylegan-tf"
IGNORED = r"(^|[./])lod$"


def generator_roots(source: Source) -> list[str]:
    """Prefixes under which a generator lies, averaged weights first."""
    return roots_of(source, "synthesis.4x4.Const.const", "synthesis.ToRGB_lod0.weight", "mapping.Dense0.weight")


def discriminator_root(source: Source) -> str | None:
    """The prefix under which a discriminator lies, None if there is none."""
    return next(iter(roots_of(source, "FromRGB_lod0.weight", "8x8.Conv1_down.weight", "4x4.Dense1.weight")), None)


def generator(source: Source, root: str) -> Plan:
    """The generator that the tensors under `root` describe."""
    names = Names(source, root)
    names.check_grown("synthesis.lod")
    blocks, depth = names.count("synthesis.ToRGB_lod{}.weight"), names.count("mapping.Dense{}.weight")
    outputs = [names.shape(f"synthesis.ToRGB_lod{blocks - 1 - b}.weight") for b in range(blocks)]
    style, latent = names.shape(f"mapping.Dense{depth - 1}.weight")[1], names.shape("mapping.Dense0.weight")[0]
    classes = 0
    if "mapping.LabelConcat.weight" in names:
        classes, latent = names.shape("mapping.LabelConcat.weight")
    module = StyleGanGenerator(tuple(o[-2] for o in outputs), outputs[0][-1], latent, style, depth, classes)
    found = [*entries(names, _layers(blocks, depth)), *_others(names, blocks, classes)]
    return Plan(module, jax.ShapeDtypeStruct((1, latent), jnp.float32), found)


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator that the tensors under `root` describe; several outputs are one for each class."""
    names = Names(source, root)
    names.check_grown("lod")
    layers = tf_discriminator(names)
    return discriminator_plan(StyleGanDiscriminator, names, layers, classes=lambda n: n if n > 1 else 0)


def _scopes(blocks: int) -> list[str]:
    """The scope of each layer."""
    scopes = ["synthesis.4x4.Const", "synthesis.4x4.Conv"]
    for b in range(1, blocks):
        scopes += [f"synthesis.{4 << b}x{4 << b}.{name}" for name in ("Conv0_up", "Conv1")]
    return scopes


def _layers(blocks: int, depth: int) -> Iterator[Layer]:
    for i in range(depth):
        yield Layer(f"map/fc{i}", f"mapping.Dense{i}", "same")
    for i, scope in enumerate(_scopes(blocks)):
        yield Layer(f"layer{i}/style", f"{scope}.StyleMod", "same")
        if i:
            turned = i % 2 == 0 and 4 << (i // 2) >= FUSED
            yield Layer(f"layer{i}", scope, "turned" if turned else "same")
    for b in range(blocks):
        yield Layer(f"rgb/r{4 << b}", f"synthesis.ToRGB_lod{blocks - 1 - b}", "same")


def _others(names: Names, blocks: int, classes: int) -> Iterator[Entry]:
    yield Entry(names.full("dlatent_avg"), "averages/map/w_avg")
    if classes:
        yield Entry(names.full("mapping.LabelConcat.weight"), "params/map/embed/kernel")
    yield Entry(names.full("synthesis.4x4.Const.const"), "params/layer0/const", "channels_last")
    yield Entry(names.full("synthesis.4x4.Const.bias"), "params/layer0/bias")
    for i, scope in enumerate(_scopes(blocks)):
        yield Entry(names.full(f"{scope}.Noise.weight"), f"params/layer{i}/noise_strength")
        yield Entry(names.full(f"synthesis.noise{i}"), f"constants/layer{i}/noise", "reshape")
