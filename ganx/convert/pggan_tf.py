"""PGGAN in the official names: `{r}x{r}/Conv0`, or `Conv0_up` where doubling is fused into the convolution."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from ganx.convert.growing import Layer, Names, discriminator_plan, entries, roots_of, tf_discriminator
from ganx.convert.keymap import Plan, Source
from ganx.models.pggan import PgganDiscriminator, PgganGenerator

NAME = "pggan"
LAYOUT = "pggan-tf"
IGNORED = r"(^|[./])lod$"


def generator_roots(source: Source) -> list[str]:
    """Prefixes under which a generator lies, averaged weights first."""
    return roots_of(source, "4x4.Dense.weight", "4x4.Conv.weight", "ToRGB_lod0.weight")


def discriminator_root(source: Source) -> str | None:
    """The prefix under which a discriminator lies, None if there is none."""
    return next(iter(roots_of(source, "FromRGB_lod0.weight", "4x4.Dense0.weight", "4x4.Dense1.weight")), None)


def generator(source: Source, root: str) -> Plan:
    """The generator that the tensors under `root` describe."""
    names = Names(source, root)
    names.check_grown("lod")
    blocks = names.count("ToRGB_lod{}.weight")
    outputs = [names.shape(f"ToRGB_lod{blocks - 1 - b}.weight") for b in range(blocks)]
    widths, channels = tuple(shape[-2] for shape in outputs), outputs[0][-1]
    latent = names.shape("4x4.Dense.weight")[0]
    module = PgganGenerator(widths, channels, latent)
    found = list(entries(names, _layers(names, latent, widths)))
    return Plan(module, jax.ShapeDtypeStruct((1, latent), jnp.float32), found)


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator that the tensors under `root` describe."""
    names = Names(source, root)
    names.check_grown("lod")
    layers = tf_discriminator(names)
    halving = "mean_first" if any(layer.prefix.endswith("Conv1_down") for layer in layers) else "mean_last"
    return discriminator_plan(PgganDiscriminator, names, layers, classes=lambda outputs: outputs - 1, halving=halving)


def _layers(names: Names, latent: int, widths: tuple[int, ...]) -> Iterator[Layer]:
    # the dense layer as the kernel of a transposed convolution, which it equals
    yield Layer("layer0", "4x4.Dense", f"reshape:{latent}x{widths[0]}x4x4|deconv")
    yield Layer("layer1", "4x4.Conv", "same")
    for b in range(1, len(widths)):
        block = f"{4 << b}x{4 << b}"
        fused = f"{block}.Conv0_up.weight" in names
        yield Layer(f"layer{2 * b}", f"{block}.{'Conv0_up' if fused else 'Conv0'}", "hwoi_turned" if fused else "same")
        yield Layer(f"layer{2 * b + 1}", f"{block}.Conv1", "same")
    for b in range(len(widths)):
        yield Layer(f"rgb/r{4 << b}", f"ToRGB_lod{len(widths) - 1 - b}", "same")
