"""PGGAN in genforce's names: `layer{l}`, `output{b}`; `input{j}` and `layer{l}` of the discriminator."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ganx.convert.growing import Layer, Names, discriminator_plan, entries, genforce_discriminator, roots_of
from ganx.convert.keymap import Plan, Source
from ganx.models.pggan import PgganDiscriminator, PgganGenerator

NAME = "pggan"
LAYOUT = "genforce"
IGNORED = r"(^|\.)lod$"
GROUP = 16  # of the minibatch standard deviation, in genforce's PGGAN


def generator_roots(source: Source) -> list[str]:
    """Prefixes under which a generator lies, averaged weights first."""
    roots = roots_of(source, "layer0.weight", "layer1.weight", "output0.weight")
    return [root for root in roots if Names(source, root).shape("layer0.weight")[2:] == (4, 4)]


def discriminator_root(source: Source) -> str | None:
    """The prefix under which a discriminator lies, None if there is none."""
    roots = roots_of(source, "input0.weight", "input1.weight", "layer1.weight")
    return next((root for root in roots if "layer1.blur.kernel" not in Names(source, root)), None)


def generator(source: Source, root: str) -> Plan:
    """The generator that the tensors under `root` describe. Labels come last in the first layer's input."""
    names = Names(source, root)
    names.check_grown("lod")
    blocks = names.count("output{}.weight")
    widths = tuple(names.shape(f"output{b}.weight")[1] for b in range(blocks))
    latent, channels = names.shape("layer0.weight")[1], names.shape("output0.weight")[0]
    layers = [Layer(f"layer{i}", f"layer{i}", "conv") for i in range(2 * blocks)]
    layers += [Layer(f"rgb/r{4 << b}", f"output{b}", "conv") for b in range(blocks)]
    module = PgganGenerator(widths, channels, latent)
    return Plan(module, jax.ShapeDtypeStruct((1, latent), jnp.float32), list(entries(names, layers)))


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator that the tensors under `root` describe."""
    names = Names(source, root)
    names.check_grown("lod")
    layers = genforce_discriminator(names)
    return discriminator_plan(PgganDiscriminator, names, layers, classes=lambda outputs: outputs - 1, group=GROUP)
