"""BigGAN (Brock et al. 2019, appendix B, figure 15): residual generator with hierarchical latents, projection
discriminator, spectral normalisation in both.

A latent is split into chunks: the first makes the 4 x 4 map, each of the others joins the class vector that drives
the batch norms of one block. BigGAN-deep, which shares the parts at the bottom, is `ganx.models.biggan_deep`.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError, unknown
from ganx.models.attention import SelfAttention, mean_down, nearest_up
from ganx.models.classnorm import ClassNorm, Norm, TableRow
from ganx.models.family import Family
from ganx.models.spectral import SpectralConv, SpectralDense, SpectralEmbed, WeightRule
from ganx.models.staged import Context, StagedGenerator, no_more_conditions

BOTTOM = 4  # pixels a side of the first map
# multiples of the width: the first map and each block's output (G), each block's output (D)
G_WIDTHS = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    512: (16, 16, 8, 8, 4, 2, 1, 1),
}
D_WIDTHS = {
    32: (4, 4, 4, 4),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
    512: (1, 1, 2, 4, 8, 8, 16, 16),
}


class _Block(nn.Module):
    """Residual block that doubles the size; attention, if any, sees its output."""

    features: int
    attention: bool
    epsilon: float
    rule: WeightRule
    norm_rule: WeightRule

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array, train: bool) -> jax.Array:
        conv = functools.partial(SpectralConv, features=self.features, rule=self.rule)
        norm = functools.partial(ClassNorm, epsilon=self.epsilon, rule=self.norm_rule)
        h = nearest_up(nn.relu(norm(name="norm1")(x, y, None, train)))
        h = nn.relu(norm(name="norm2")(conv(name="conv1")(h, train), y, None, train))
        h = conv(name="conv2")(h, train)
        # a 1 x 1 convolution and a repetition commute, and this way round there is a quarter to do
        x = h + nearest_up(conv(kernel=1, name="skip")(x, train))
        return SelfAttention(self.rule, name="attention")(x, train) if self.attention else x


class ToRgb(nn.Module):
    """Batch norm, ReLU, 3 x 3 convolution to `features` channels, of which the first `channels` are the image."""

    channels: int
    features: int
    rows: int
    epsilon: float
    rule: WeightRule

    @nn.compact
    def __call__(self, x: jax.Array, place: TableRow | None, train: bool) -> jax.Array:
        x = nn.relu(Norm(self.rows, self.epsilon, name="norm")(x, place, train))
        x = SpectralConv(self.rule, self.features, name="conv")(x, train)
        return jnp.tanh(x[..., : self.channels].astype(jnp.float32))


class BigGanGenerator(StagedGenerator):
    """Stages `linear` (4 x 4), `block0`, `block1`, … (each twice the size), `rgb`.

    In bfloat16 an image is off by at most 2.8 % of the largest value, by 0.3 % on average (16 images of a fresh
    32-pixel net with settled statistics, `tests/models/test_half_precision.py`).

    Fields:
      widths: channels of the first map, then of each block's output.
      classes: number of classes; 0 for none.
      embed: size of the class vectors that all norms share; 0 gives every norm a scale and bias for each class.
      latent: size of z; `hierarchical` splits it evenly over the stages up to the last block.
      attention: indices of the blocks that end in self-attention.
      norm_epsilon, rgb_epsilon: of the blocks' batch norms, and of the last one.
      spectral, spectral_epsilon, weight_init, dtype: see `ganx.models.spectral.WeightRule`.
    """

    widths: tuple[int, ...]
    classes: int = 0
    embed: int = 128
    latent: int = 120
    hierarchical: bool = True
    attention: tuple[int, ...] = ()
    channels: int = 3
    norm_epsilon: float = 1e-5
    rgb_epsilon: float = 1e-5
    spectral: str = "power"
    spectral_epsilon: float = 1e-6
    weight_init: str = "orthogonal"
    dtype: str = "float32"

    @property
    def prior(self) -> str:
        return "normal"

    def setup(self) -> None:
        rule = WeightRule(self.spectral, self.spectral_epsilon, self.weight_init, self.dtype).checked()
        plain = rule._replace(normalisation="none")
        if self.classes and self.embed:
            self.shared = SpectralEmbed(plain, self.classes, self.embed)
        self.linear = SpectralDense(rule, BOTTOM**2 * self.widths[0])
        norm_rule = rule if self.embed else plain
        for i, width in enumerate(self.widths[1:]):
            block = _Block(width, i in self.attention, self.norm_epsilon, rule, norm_rule)
            setattr(self, f"block{i}", block)
        self.rgb = ToRgb(self.channels, self.channels, 1, self.rgb_epsilon, rule)

    def stage_names(self) -> tuple[str, ...]:
        return ("linear", *(f"block{i}" for i in range(len(self.widths) - 1)), "rgb")

    def latent_shape(self) -> tuple[int, ...]:
        return (self.latent,)

    def chunk(self) -> int:
        """How many entries of z enter a stage."""
        return self.latent // len(self.widths) if self.hierarchical else self.latent

    def begin(self, z: jax.Array, label: jax.Array | None = None, **conditions: Any) -> tuple[jax.Array, Context]:
        """Condition: `label`, int32 `[n]`, or float `[n, classes]` for a mixture of classes."""
        no_more_conditions("biggan", "label", conditions)
        check_label(self.classes, label)
        n, blocks = len(z), len(self.widths) - 1
        parts = []
        if label is not None:
            y = self.shared(label, False) if self.embed else weights_of(label, self.classes)
            parts.append(jnp.broadcast_to(y[:, None], (n, blocks, y.shape[-1])))
        if self.hierarchical:
            chunks = z.reshape(n, blocks + 1, -1)
            parts.append(chunks[:, 1:])
            z = chunks[:, 0]
        return z, {"conditions": jnp.concatenate(parts, -1)}

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        stage = getattr(self, name)
        if name == "linear":
            x = stage(features, train).reshape(len(features), BOTTOM, BOTTOM, self.widths[0])
            return x.astype(self.dtype), context
        if name == "rgb":
            return stage(features, None, train), context
        return stage(features, context["conditions"][:, int(name[5:])], train), context

    def style_matrices(self) -> dict[str, jax.Array]:
        """Columns are all of z: a stage's matrix is zero outside its own chunk. Raw weights: sigma only scales them."""
        params, size, found = self.variables["params"], self.chunk(), {}
        stages = self.stage_names()[:-1] if self.hierarchical else ("linear",)
        for i, stage in enumerate(stages):
            here = params[stage]
            kernels = [here["kernel"]] if stage == "linear" else norm_kernels(here)
            rows = jnp.concatenate([kernel[-size:].T for kernel in kernels])
            found[stage] = jnp.pad(rows, ((0, 0), (i * size, self.latent - (i + 1) * size)))
        return found


class _DownBlock(nn.Module):
    """Residual block of the discriminator; the network's first one sees the image as it is."""

    features: int
    hidden: int
    first: bool
    down: bool
    attention: bool
    rule: WeightRule

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        conv = functools.partial(SpectralConv, features=self.features, rule=self.rule)
        h = conv(features=self.hidden, name="conv1")(x if self.first else nn.relu(x), train)
        h = conv(name="conv2")(nn.relu(h), train)
        learned = self.down or x.shape[-1] != self.features
        if self.down:  # before the shortcut's 1 x 1 convolution, with which means commute
            h, x = mean_down(h), mean_down(x)
        x = h + (conv(kernel=1, name="skip")(x, train) if learned else x.astype(h.dtype))
        return SelfAttention(self.rule, name="attention")(x, train) if self.attention else x


class ProjectionHead(nn.Module):
    """ReLU, sum over space, a linear logit plus the inner product with the class vector (Miyato and Koyama 2018)."""

    classes: int
    rule: WeightRule

    @nn.compact
    def __call__(self, x: jax.Array, label: jax.Array | None, train: bool) -> jax.Array:
        h = nn.relu(x.astype(jnp.float32)).sum((1, 2))
        logits = SpectralDense(self.rule, 1, name="linear")(h, train)[:, 0]
        if label is None:
            return logits
        return logits + (SpectralEmbed(self.rule, self.classes, h.shape[-1], name="embed")(label, train) * h).sum(-1)


class BigGanDiscriminator(nn.Module):
    """Residual blocks, `ProjectionHead`.

    Fields: `widths` of the blocks' outputs, which of them halve the size (`down`) and end in self-attention
    (`attention`, indices); `wide` blocks work at their output's width, others at their input's; the rest as in
    `BigGanGenerator`.
    """

    widths: tuple[int, ...]
    down: tuple[bool, ...]
    classes: int = 0
    attention: tuple[int, ...] = ()
    wide: bool = True
    spectral: str = "power"
    spectral_epsilon: float = 1e-6
    weight_init: str = "orthogonal"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False, label: jax.Array | None = None) -> jax.Array:
        """Logits float32 `[n]` for images `[n, H, W, C]` in [-1, 1]; `label` as for the generator."""
        check_label(self.classes, label)
        rule = WeightRule(self.spectral, self.spectral_epsilon, self.weight_init, self.dtype).checked()
        for i, (width, down) in enumerate(zip(self.widths, self.down, strict=True)):
            hidden = width if self.wide else x.shape[-1]
            block = _DownBlock(width, hidden, i == 0, down, i in self.attention, rule, name=f"block{i}")
            x = block(x, train)
        return ProjectionHead(self.classes, rule, name="head")(x, label, train)


def check_label(classes: int, label: jax.Array | None) -> None:
    """Refuses a missing label and one that there is no use for."""
    if classes and label is None:
        raise GanxError(f"this network knows {classes} classes; say which with label=, int32 [n]")
    if not classes and label is not None:
        raise GanxError("this network was built without classes, so it takes no label")


def weights_of(label: jax.Array, classes: int) -> jax.Array:
    """Labels int32 `[n]` or mixtures `[n, classes]` as float32 `[n, classes]`."""
    return jax.nn.one_hot(label, classes) if label.ndim == 1 else label.astype(jnp.float32)


def norm_kernels(block: Any) -> list[jax.Array]:
    """The kernels of a block's class-conditional norms, in running order."""
    norms = [block[name] for name in sorted(block) if name.startswith("norm")]
    return [norm[part]["kernel"] for norm in norms for part in ("scale", "offset")]


def scaled(table: dict[int, tuple[int, ...]], resolution: int, width: int) -> tuple[int, ...]:
    """The widths of a standard network, or a `GanxError` that lists the resolutions."""
    if resolution not in table:
        raise unknown("BigGAN resolution", str(resolution), [str(r) for r in table])
    return tuple(width * factor for factor in table[resolution])


def generator(
    resolution: int = 128, channels: int = 3, width: int = 96, attention: int = 64, **fields: Any
) -> BigGanGenerator:
    """The published generator: `width` channels times 1 to 16, self-attention at `attention` pixels (0 for none)."""
    widths = scaled(G_WIDTHS, resolution, width)
    where = tuple(i for i in range(len(widths) - 1) if 2 * BOTTOM * 2**i == attention)
    module = BigGanGenerator(widths, attention=where, channels=channels, **fields)
    if module.hierarchical and module.latent % len(widths):
        nearest = module.latent // len(widths) * len(widths)
        raise GanxError(f"a latent of {module.latent} does not split into {len(widths)} chunks; use {nearest}")
    if not module.hierarchical and not module.classes:
        raise GanxError("without classes nothing would drive the norms; set hierarchical, or give classes")
    if module.hierarchical and module.classes and not module.embed:
        raise GanxError("hierarchical latents join the shared class vectors; set embed above 0")
    return module


def discriminator(resolution: int = 128, width: int = 96, attention: int = 64, **fields: Any) -> BigGanDiscriminator:
    """The published discriminator; at 32 pixels only the first two of its blocks halve the size."""
    widths = scaled(D_WIDTHS, resolution, width)
    down = tuple(i < (2 if resolution == 32 else len(widths) - 1) for i in range(len(widths)))
    sizes = [resolution // 2 ** sum(down[: i + 1]) for i in range(len(widths))]
    where = tuple(i for i, size in enumerate(sizes) if size == attention and down[i])
    return BigGanDiscriminator(widths, down, attention=where, **fields)


FAMILY = Family("biggan", BigGanGenerator, BigGanDiscriminator, generator, discriminator)
