"""BigGAN in the names of ajbrock/BigGAN-PyTorch: `G_ema.pth`, `G.pth` and `D.pth`, flat state dicts, a network each.

Shapes tell everything but two epsilons. Networks trained there have 1e-5 in their norms; the TF-Hub models that were
ported to these names have 1e-4, and are recognised by `sv0`, which keeps its initial 1 unless PyTorch trains. The last
norm has 1e-5 in both, since the reference never passes the setting on.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from ganx.convert.keymap import Entry, Plan, Source, Tensors, join
from ganx.errors import GanxError
from ganx.models.biggan import BOTTOM, BigGanDiscriminator, BigGanGenerator

NAME = "biggan"
LAYOUT = "ajbrock"
IGNORED = re.compile(r"(^|\.)accumulation_counter$")

_FIRST = "blocks.0.0.conv1.weight"
_DEEP = "blocks.0.0.conv4.weight"
_MAP = f"{BOTTOM}x{BOTTOM}"
_STATISTICS = (("stored_", "bn.stored_", "bn.running_"), ("mean", "var"))  # plain, --mybn, --cross_replica


def generator_roots(source: Source) -> list[str]:
    """Prefixes of generators, averaged ones first."""
    return generators(source.tensors, deep=False)


def discriminator_root(source: Source) -> str | None:
    """The prefix of the discriminator, None if there is none."""
    return next(iter(discriminators(source.tensors, deep=False)), None)


def generator(source: Source, root: str) -> Plan:
    """The generator that the tensors under `root` describe."""
    tensors = {name: source.tensors[name] for name in source.under(root)}
    blocks = list(itertools.takewhile(lambda b: has(tensors, root, f"{b}.0.conv1.weight"), _numbered("blocks")))
    chunk = shape(tensors, root, "linear.weight")[1]
    widths = [shape(tensors, root, f"{block}.0.conv1.weight")[0] for block in blocks]
    shared = has(tensors, root, "shared.weight")
    gain = shape(tensors, root, "blocks.0.0.bn1.gain.weight")
    classes, embed = shape(tensors, root, "shared.weight") if shared else (gain[0], 0)
    hierarchical = shared and gain[1] > embed
    module = BigGanGenerator(
        widths=(first_width(tensors, root, "blocks.0.0.conv1.weight"), *widths),
        classes=classes,
        embed=embed,
        latent=chunk * (len(blocks) + 1) if hierarchical else chunk,
        hierarchical=hierarchical,
        attention=tuple(i for i, block in enumerate(blocks) if has(tensors, root, f"{block}.1.theta.weight")),
        channels=shape(tensors, root, "output_layer.2.weight")[0],
        norm_epsilon=norm_epsilon(tensors),
        spectral=normalisation(tensors, root),
    )
    entries = list(generator_ends(tensors, root, "linear"))
    for i, block in enumerate(blocks):
        entries += _block(tensors, join(root, f"{block}.0"), f"block{i}", ("1", "2"), "dense" if shared else "same")
        if i in module.attention:
            entries += attention(tensors, join(root, f"{block}.1"), f"block{i}/attention")
    return Plan(module, jax.ShapeDtypeStruct((1, module.latent), jnp.float32), entries)


def discriminator(source: Source, root: str) -> Plan:
    """The discriminator that the tensors under `root` describe."""
    tensors = {name: source.tensors[name] for name in source.under(root)}
    blocks = list(itertools.takewhile(lambda b: has(tensors, root, f"{b}.0.conv1.weight"), _numbered("blocks")))
    convs = [[shape(tensors, root, f"{b}.0.conv{i}.weight") for i in (1, 2)] for b in blocks]
    labelled = has(tensors, root, "embed.weight")
    module = BigGanDiscriminator(
        widths=tuple(second[0] for _, second in convs),
        down=tuple(has(tensors, root, f"{block}.0.conv_sc.weight") for block in blocks),
        classes=shape(tensors, root, "embed.weight")[0] if labelled else 0,
        attention=tuple(i for i, block in enumerate(blocks) if has(tensors, root, f"{block}.1.theta.weight")),
        wide=all(first[0] == second[0] for first, second in convs),
        spectral=normalisation(tensors, root),
    )
    entries = list(head(tensors, root))
    for i, block in enumerate(blocks):
        entries += _block(tensors, join(root, f"{block}.0"), f"block{i}", (), "")
        if i in module.attention:
            entries += attention(tensors, join(root, f"{block}.1"), f"block{i}/attention")
    size = BOTTOM * 2 ** (len(blocks) - 1)
    return Plan(module, jax.ShapeDtypeStruct((1, size, size, convs[0][0][1]), jnp.float32), entries)


def _block(tensors: Tensors, prefix: str, path: str, norms: tuple[str, ...], condition: str) -> Iterator[Entry]:
    for source, target in (("conv1", "conv1"), ("conv2", "conv2"), ("conv_sc", "skip")):
        yield from weight(tensors, f"{prefix}.{source}", f"{path}/{target}", "conv")
    for i in norms:
        yield from class_norm(tensors, f"{prefix}.bn{i}", f"{path}/norm{i}", condition)


# -- shared with the layout of BigGAN-deep ---------------------------------------------------------------


def generators(tensors: Tensors, deep: bool) -> list[str]:
    """Prefixes of generators of one of the two kinds, averaged ones first."""
    found = [root for root in _roots(tensors, deep) if has(tensors, root, "output_layer.2.weight")]
    return sorted(found, key=lambda root: "ema" not in root.lower())


def discriminators(tensors: Tensors, deep: bool) -> list[str]:
    """Prefixes of discriminators of one of the two kinds."""
    return [root for root in _roots(tensors, deep) if not has(tensors, root, "output_layer.2.weight")]


def first_width(tensors: Tensors, root: str, first: str) -> int:
    """Channels of the first map, which must be 4 x 4."""
    rows, entering = shape(tensors, root, "linear.weight")[0], shape(tensors, root, first)[1]
    if rows != BOTTOM**2 * entering:
        raise GanxError(f"linear.weight has {rows} rows, not 16 for each of {entering} channels; the map must be 4 x 4")
    return entering


def norm_epsilon(tensors: Tensors) -> float:
    """What the blocks' norms add to the variance (see the top of this file)."""
    values = [array for name, array in tensors.items() if name.endswith(".sv0")]
    return 1e-4 if values and all((array == 1).all() for array in values) else 1e-5


def normalisation(tensors: Tensors, root: str) -> str:
    """Whether weights are spectrally normalised."""
    return "power" if has(tensors, root, "linear.u0") else "none"


def weight(tensors: Tensors, prefix: str, path: str, transform: str, name: str = "kernel") -> Iterator[Entry]:
    """A convolution, linear layer or embedding and what spectral normalisation knows of it, where there is one.

    `transform` is the weight's; "chw_columns" is for a linear layer that makes a map.
    """
    if f"{prefix}.weight" not in tensors:
        return
    order = transform.replace("chw_columns", "chw_last") if transform.startswith("chw_columns") else "same"
    yield Entry(f"{prefix}.weight", f"params/{path}/{name}", transform)
    if f"{prefix}.bias" in tensors:
        yield Entry(f"{prefix}.bias", f"params/{path}/bias", order)
    if f"{prefix}.u0" in tensors:
        yield Entry(f"{prefix}.u0", f"spectral/{path}/u", f"first|{order}")
        yield Entry(f"{prefix}.sv0", f"spectral/{path}/sigma", "reshape")


def class_norm(tensors: Tensors, prefix: str, path: str, transform: str = "dense") -> Iterator[Entry]:
    """A class-conditional norm; `transform` is that of its two linear maps."""
    yield from weight(tensors, f"{prefix}.gain", f"{path}/scale", transform)
    yield from weight(tensors, f"{prefix}.bias", f"{path}/offset", transform)
    yield from _statistics(tensors, prefix, path)


def attention(tensors: Tensors, prefix: str, path: str) -> Iterator[Entry]:
    """A self-attention layer."""
    for name in ("theta", "phi", "g", "o"):
        yield from weight(tensors, f"{prefix}.{name}", f"{path}/{name}", "conv")
    yield Entry(f"{prefix}.gamma", f"params/{path}/gamma")


def generator_ends(tensors: Tensors, root: str, first: str) -> Iterator[Entry]:
    """What stands before and after a generator's blocks; `first` is the stage that makes the map."""
    yield from weight(tensors, join(root, "shared"), "shared", "same", "embedding")
    yield from weight(tensors, join(root, "linear"), first, f"chw_columns:{_MAP}")
    norm = join(root, "output_layer.0")
    yield Entry(f"{norm}.gain", "params/rgb/norm/scale")
    yield Entry(f"{norm}.bias", "params/rgb/norm/bias")
    yield from _statistics(tensors, norm, "rgb/norm")
    yield from weight(tensors, join(root, "output_layer.2"), "rgb/conv", "conv")


def head(tensors: Tensors, root: str) -> Iterator[Entry]:
    """The end of a discriminator."""
    yield from weight(tensors, join(root, "linear"), "head/linear", "dense")
    yield from weight(tensors, join(root, "embed"), "head/embed", "same", "embedding")


def has(tensors: Tensors, root: str, name: str) -> bool:
    """Whether `name` exists under `root`."""
    return join(root, name) in tensors


def shape(tensors: Tensors, root: str, name: str) -> tuple[int, ...]:
    """The shape of a tensor under `root`, which must exist and be a matrix or a stack of kernels."""
    if not has(tensors, root, name):
        raise GanxError(f"it looks like a BigGAN, but has no tensor {join(root, name)!r}")
    found = tensors[join(root, name)].shape
    if len(found) not in (2, 4) or 0 in found:
        raise GanxError(f"tensor {join(root, name)!r} has shape {list(found)}, which no BigGAN has there")
    return found


def _statistics(tensors: Tensors, prefix: str, path: str) -> Iterator[Entry]:
    for before, name in itertools.product(*_STATISTICS):
        if f"{prefix}.{before}{name}" in tensors:
            yield Entry(f"{prefix}.{before}{name}", f"batch_stats/{path}/{name}", "reshape")


def _roots(tensors: Tensors, deep: bool) -> list[str]:
    ends = [name for name in tensors if name == _FIRST or name.endswith(f".{_FIRST}")]
    roots = [name[: -len(_FIRST)].rstrip(".") for name in ends]
    return [r for r in roots if has(tensors, r, "linear.weight") and has(tensors, r, _DEEP) == deep]


def _numbered(prefix: str) -> Iterator[str]:
    return (f"{prefix}.{i}" for i in itertools.count())
