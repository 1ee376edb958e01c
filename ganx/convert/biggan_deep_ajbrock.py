"""BigGAN-deep in the names of ajbrock/BigGAN-PyTorch (its `BigGANdeep.py`).

Which blocks change the size leaves no trace in the tensors: in the generator it is every second one, in the
discriminator the first of each resolution's, except that the 32-pixel network, all of whose resolutions have one width,
keeps the size in its third.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from ganx.convert import biggan_ajbrock as aj
from ganx.convert.keymap import Entry, Plan, Source, Tensors, join
from ganx.errors import GanxError
from ganx.models.biggan import BOTTOM
from ganx.models.biggan_deep import BigGanDeepDiscriminator, BigGanDeepGenerator, DeepBlock

NAME = "biggan_deep"
LAYOUT = "ajbrock-deep"
IGNORED = aj.IGNORED

_DEPTH = 2  # blocks a resolution


def generator_roots(source: Source) -> list[str]:
    """Prefixes of generators, averaged ones first."""
    return aj.generators(source.tensors, deep=True)


def discriminator_root(source: Source) -> str | None:
    """The prefix of the discriminator, None if there is none."""
    return next(iter(aj.discriminators(source.tensors, deep=True)), None)


def generator(source: Source, root: str) -> Plan:
    """The generator that the tensors under `root` describe."""
    tensors = {name: source.tensors[name] for name in source.under(root)}
    count = sum(1 for _ in itertools.takewhile(lambda i: _is_block(tensors, root, f"{i}.0"), itertools.count()))
    if count % _DEPTH:
        raise GanxError(f"a BigGAN-deep generator has two blocks a resolution; this one has {count} in all")
    classes, embed = aj.shape(tensors, root, "shared.weight")
    features = [aj.shape(tensors, root, f"blocks.{i}.0.conv4.weight")[0] for i in range(count)]
    attention = [i for i in range(count) if aj.has(tensors, root, f"blocks.{i}.1.theta.weight")]
    module = BigGanDeepGenerator(
        width=aj.first_width(tensors, root, "blocks.0.0.conv1.weight"),
        blocks=tuple(DeepBlock(width, i % _DEPTH == _DEPTH - 1) for i, width in enumerate(features)),
        classes=classes,
        embed=embed,
        latent=aj.shape(tensors, root, "linear.weight")[1] - embed,
        attention=tuple(i + 1 for i in attention),
        channels=aj.shape(tensors, root, "output_layer.2.weight")[0],
        class_first=True,
        norm_epsilon=aj.norm_epsilon(tensors),
        rgb_epsilon=1e-5,
        spectral=aj.normalisation(tensors, root),
    )
    if module.latent < 1:
        raise GanxError("linear.weight does not take z beside the class vector; only hierarchical BigGAN-deep runs")
    entries = list(aj.generator_ends(tensors, root, "gen_z"))
    for i in range(count):
        entries += _block(tensors, join(root, f"blocks.{i}.0"), f"block{i}")
    for number, i in enumerate(attention, 1):
        name = "attn" if number == 1 else f"attn{number}"
        entries += aj.attention(tensors, join(root, f"blocks.{i}.1"), name)
    return Plan(module, jax.ShapeDtypeStruct((1, module.latent), jnp.float32), entries)


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator that the tensors under `root` describe."""
    tensors = {name: source.tensors[name] for name in source.under(root)}
    places = _places(tensors, root)
    widths = [aj.shape(tensors, root, f"blocks.{place}.conv4.weight")[0] for place in places]
    width, channels = aj.shape(tensors, root, "input_conv.weight")[:2]
    stages = 1 + max(int(place.partition(".")[0]) for place in places)
    kept = 1 if len({width, *widths}) == 1 else 0
    down = [place.endswith(".0") and int(place.partition(".")[0]) < stages - kept for place in places]
    after = {place: f"{i}.{int(d) + 1}" for place in places for i, _, d in [place.partition(".")]}
    attention = [k for k, place in enumerate(places) if aj.has(tensors, root, f"blocks.{after[place]}.theta.weight")]
    module = BigGanDeepDiscriminator(
        width=width,
        blocks=tuple(map(DeepBlock, widths, down)),
        classes=aj.shape(tensors, root, "embed.weight")[0] if aj.has(tensors, root, "embed.weight") else 0,
        attention=tuple(k + 1 for k in attention),
        spectral=aj.normalisation(tensors, root),
    )
    entries = list(aj.weight(tensors, join(root, "input_conv"), "stem", "conv")) + list(aj.head(tensors, root))
    for k, place in enumerate(places):
        entries += _block(tensors, join(root, f"blocks.{place}"), f"block{k}")
        if k in attention:
            entries += aj.attention(tensors, join(root, f"blocks.{after[place]}"), f"attn{k}")
    size = BOTTOM * 2**stages
    return Plan(module, jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32), entries)


def _block(tensors: Tensors, prefix: str, path: str) -> Iterator[Entry]:
    for i in range(4):
        yield from aj.weight(tensors, f"{prefix}.conv{i + 1}", f"{path}/conv{i}", "conv")
        if f"{prefix}.bn{i + 1}.gain.weight" in tensors:
            yield from aj.class_norm(tensors, f"{prefix}.bn{i + 1}", f"{path}/norm{i}")
    yield from aj.weight(tensors, f"{prefix}.conv_sc", f"{path}/skip", "conv")


def _places(tensors: Tensors, root: str) -> list[str]:
    """The discriminator's blocks in running order, as `resolution.block`."""

    def blocks(stage: int) -> list[str]:
        places = (f"{stage}.{d}" for d in itertools.count())
        return list(itertools.takewhile(lambda place: _is_block(tensors, root, place), places))

    return list(itertools.chain.from_iterable(itertools.takewhile(bool, map(blocks, itertools.count()))))


def _is_block(tensors: Tensors, root: str, place: str) -> bool:
    return aj.has(tensors, root, f"blocks.{place}.conv4.weight")
