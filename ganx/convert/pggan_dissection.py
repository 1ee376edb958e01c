"""PGGAN generators of the GAN Dissection zoo (Bau et al. 2019): `layer{l+1}.conv`, or `features.{l}.conv` in old files.

They hold the last image layer only, so they draw at full detail only.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ganx.convert.growing import Names, roots_of
from ganx.convert.keymap import Entry, Plan, Source
from ganx.errors import GanxError
from ganx.models.pggan import PgganGenerator

NAME = "pggan"
LAYOUT = "dissection"
IGNORED = r"\.wscale\.scale$"  # the equalised learning rate's gain, which the shapes imply


def generator_roots(source: Source) -> list[str]:
    """Prefixes under which a generator lies, averaged weights first."""
    new = roots_of(source, "layer1.wscale.b", "layer1.conv.weight")
    return new + roots_of(source, "features.0.wscale.b", "features.0.conv.weight")


def discriminator_root(source: Source) -> str | None:
    """None: the zoo holds generators only."""
    del source
    return None


def generator(source: Source, root: str) -> Plan:
    """The generator that the tensors under `root` describe."""
    names = Names(source, root)
    old = "features.0.conv.weight" in names
    pattern, first = ("features.{}", 0) if old else ("layer{}", 1)
    layers = [pattern.format(first + i) for i in range(_count(names, pattern, first))]
    size = 4 << (len(layers) // 2 - 1)
    output = "output" if old else f"output_{size}x{size}"
    widths = tuple(names.shape(f"{layer}.conv.weight")[0] for layer in layers[::2])
    latent, channels = names.shape(f"{layers[0]}.conv.weight")[1], names.shape(f"{output}.conv.weight")[0]
    targets = [(f"layer{i}", layer) for i, layer in enumerate(layers)] + [(f"rgb/r{size}", output)]
    found = [Entry(names.full(f"{prefix}.conv.weight"), f"params/{to}/kernel", "conv") for to, prefix in targets]
    found += [Entry(names.full(f"{prefix}.wscale.b"), f"params/{to}/bias") for to, prefix in targets]
    module = PgganGenerator(widths, channels, latent, growing=False)
    return Plan(module, jax.ShapeDtypeStruct((1, latent), jnp.float32), found)


def discriminator(source: Source, root: str) -> Plan:
    """Refuses: there is none, see `discriminator_root`."""
    del source
    raise GanxError(f"no discriminator at {root!r}: GAN Dissection's files hold generators only")


def _count(names: Names, pattern: str, first: int) -> int:
    count = 0
    while f"{pattern.format(first + count)}.conv.weight" in names:
        count += 1
    return count
