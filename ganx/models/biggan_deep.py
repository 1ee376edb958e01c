"""BigGAN-deep (Brock et al. 2019, appendix B, figure 16): bottleneck blocks, the whole latent in every norm.

One network in the two forms that are published. In the TF-Hub ports (pytorch-pretrained-BigGAN) the condition is
[z, class vector], sigma is stored, the last convolution has spare outputs, and the norms' statistics are a table over
truncation. In BigGAN-PyTorch it is [class vector, z], one power iteration, and one row of statistics.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models.attention import SelfAttention, mean_down, nearest_up
from ganx.models.biggan import BOTTOM, D_WIDTHS, G_WIDTHS, ProjectionHead, ToRgb, check_label, norm_kernels, scaled
from ganx.models.classnorm import ClassNorm, TableRow, table_row
from ganx.models.family import Family
from ganx.models.spectral import SpectralConv, SpectralDense, SpectralEmbed, WeightRule
from ganx.models.staged import Context, StagedGenerator, no_more_conditions

REDUCTION = 4  # blocks work at a quarter of their width


class DeepBlock(NamedTuple):
    """A residual block: its output's channels, and whether it doubles (G) or halves (D) the size."""

    features: int
    resize: bool


class _Block(nn.Module):
    block: DeepBlock
    rows: int
    epsilon: float
    rule: WeightRule

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array, place: TableRow, train: bool) -> jax.Array:
        features, resize = self.block
        hidden = x.shape[-1] // REDUCTION
        conv = functools.partial(SpectralConv, rule=self.rule, features=hidden)

        def normed(i: int, h: jax.Array) -> jax.Array:
            norm = ClassNorm(self.rows, self.epsilon, self.rule, name=f"norm{i}")
            return nn.relu(norm(h, y, place, train))

        h = normed(1, conv(kernel=1, name="conv0")(normed(0, x), train))
        h = conv(name="conv1")(nearest_up(h) if resize else h, train)
        h = conv(name="conv2")(normed(2, h), train)
        h = conv(kernel=1, features=features, name="conv3")(normed(3, h), train)
        x = x[..., :features]  # the shortcut drops channels instead of projecting them
        return h + (nearest_up(x) if resize else x)


class BigGanDeepGenerator(StagedGenerator):
    """Stages `gen_z` (4 x 4), `block0`, `block1`, …, `rgb`; self-attention is the stage `attn` in its place.

    Conditions: `label`, `truncation`, `legacy_truncation` (see `begin`).

    In bfloat16 an image is off by at most 5.5 % of the largest value, by 0.3 % on average (16 images of a fresh
    32-pixel net with settled statistics, `tests/models/test_half_precision.py`).

    Fields:
      width: channels of the first map.
      blocks: see `DeepBlock`.
      classes: number of classes; 0 for none.
      embed: size of the class vectors.
      latent: size of z.
      attention: after how many blocks it comes. A second and third are the stages `attn2`, `attn3`.
      rgb_features: outputs of the last convolution, of which the first `channels` are used; 0 for just those.
      rows: rows of the norms' tables over truncation; 1 if truncation changes nothing.
      class_first: whether conditions are [class vector, z] rather than [z, class vector].
      norm_epsilon, rgb_epsilon: of the blocks' batch norms, and of the last one.
      spectral, spectral_epsilon, weight_init, dtype: see `ganx.models.spectral.WeightRule`.
    """

    width: int
    blocks: tuple[DeepBlock, ...]
    classes: int = 0
    embed: int = 128
    latent: int = 128
    attention: tuple[int, ...] = ()
    channels: int = 3
    rgb_features: int = 0
    rows: int = 1
    class_first: bool = False
    norm_epsilon: float = 1e-4
    rgb_epsilon: float = 1e-4
    spectral: str = "power"
    spectral_epsilon: float = 1e-6
    weight_init: str = "orthogonal"
    dtype: str = "float32"

    @property
    def prior(self) -> str:
        return "normal"

    def setup(self) -> None:
        rule = WeightRule(self.spectral, self.spectral_epsilon, self.weight_init, self.dtype).checked()
        if self.classes:
            self.shared = SpectralEmbed(rule._replace(normalisation="none"), self.classes, self.embed)
        self.gen_z = SpectralDense(rule, BOTTOM**2 * self.width)
        for i, block in enumerate(self.blocks):
            setattr(self, f"block{i}", _Block(DeepBlock(*block), self.rows, self.norm_epsilon, rule))
        for name in self.stage_names():
            if name.startswith("attn"):
                setattr(self, name, SelfAttention(rule))
        self.rgb = ToRgb(self.channels, self.rgb_features or self.channels, self.rows, self.rgb_epsilon, rule)

    def stage_names(self) -> tuple[str, ...]:
        names = [f"block{i}" for i in range(len(self.blocks))]
        for count, where in reversed(list(enumerate(self.attention, 1))):
            names.insert(where, "attn" if count == 1 else f"attn{count}")
        return ("gen_z", *names, "rgb")

    def latent_shape(self) -> tuple[int, ...]:
        return (self.latent,)

    def begin(
        self,
        z: jax.Array,
        label: jax.Array | None = None,
        truncation: float | jax.Array = 1.0,
        legacy_truncation: bool = False,
        **conditions: Any,
    ) -> tuple[jax.Array, Context]:
        """Input of the first stage.

        Args:
          z: `[n, latent]`. Truncation leaves it alone: draw it with `truncated_latents`.
          label: int32 `[n]`, or float `[n, classes]` for a mixture of classes.
          truncation: which statistics the norms use, 0 to 1, a number or `[n]`.
          legacy_truncation: interpolate them as published code does (see `table_row`).
        """
        no_more_conditions("biggan_deep", "label, truncation and legacy_truncation", conditions)
        check_label(self.classes, label)
        place = table_row(truncation, self.rows, len(z), legacy_truncation)
        if label is not None:
            y = self.shared(label, False)
            z = jnp.concatenate([y, z] if self.class_first else [z, y], -1)
        return z, {"condition": z, **place._asdict()}

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        stage, place = getattr(self, name), TableRow(context["row"], context["weight"])
        if name == "gen_z":
            x = stage(features, train).reshape(len(features), BOTTOM, BOTTOM, self.width)
            return x.astype(self.dtype), context
        if name == "rgb":
            return stage(features, place, train), context
        if name.startswith("attn"):
            return stage(features, train), context
        return stage(features, context["condition"], place, train), context

    def style_matrices(self) -> dict[str, jax.Array]:
        """z's part of the matrices that the condition enters by. Raw weights: sigma only scales them."""
        params = self.variables["params"]
        own = slice(-self.latent, None) if self.class_first else slice(self.latent)
        found = {"gen_z": params["gen_z"]["kernel"][own].T}
        for i in range(len(self.blocks)):
            kernels = norm_kernels(params[f"block{i}"])
            found[f"block{i}"] = jnp.concatenate([kernel[own].T for kernel in kernels])
        return found


class _DownBlock(nn.Module):
    block: DeepBlock
    rule: WeightRule

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        features, resize = self.block
        conv = functools.partial(SpectralConv, rule=self.rule, features=features // REDUCTION)
        h = conv(kernel=1, name="conv0")(nn.relu(x), train)
        h = conv(name="conv1")(nn.relu(h), train)
        h = nn.relu(conv(name="conv2")(nn.relu(h), train))
        if resize:
            h, x = mean_down(h), mean_down(x)
        h = conv(kernel=1, features=features, name="conv3")(h, train)
        more = features - x.shape[-1]
        if more:  # the shortcut keeps its channels and learns only those it lacks
            x = jnp.concatenate([x, conv(kernel=1, features=more, name="skip")(x, train)], -1)
        return h + x


class BigGanDeepDiscriminator(nn.Module):
    """3 x 3 convolution to `width` channels, `blocks`, `ProjectionHead`. Fields as in `BigGanDeepGenerator`."""

    width: int
    blocks: tuple[DeepBlock, ...]
    classes: int = 0
    attention: tuple[int, ...] = ()
    spectral: str = "power"
    spectral_epsilon: float = 1e-6
    weight_init: str = "orthogonal"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False, label: jax.Array | None = None) -> jax.Array:
        """Logits float32 `[n]` for images `[n, H, W, C]` in [-1, 1]; `label` as for the generator."""
        check_label(self.classes, label)
        rule = WeightRule(self.spectral, self.spectral_epsilon, self.weight_init, self.dtype).checked()
        x = SpectralConv(rule, self.width, name="stem")(x, train)
        for i, block in enumerate(self.blocks):
            x = _DownBlock(DeepBlock(*block), rule, name=f"block{i}")(x, train)
            if i + 1 in self.attention:
                x = SelfAttention(rule, name=f"attn{i}")(x, train)
        return ProjectionHead(self.classes, rule, name="head")(x, label, train)


def truncated_latents(key: jax.Array, n: int, latent: int, truncation: float | jax.Array = 1.0) -> jax.Array:
    """Latents float32 `[n, latent]` for sampling with the truncation trick (Brock et al. 2019, §3.1).

    Normal, redrawn outside [-2, 2], times `truncation`: what the TF-Hub models were sampled with. Even truncation 1
    is narrower than the prior that they were trained on.
    """
    return truncation * jax.random.truncated_normal(key, -2.0, 2.0, (n, latent))


def generator(
    resolution: int = 128, channels: int = 3, width: int = 128, depth: int = 2, attention: int = 64, **fields: Any
) -> BigGanDeepGenerator:
    """The published generator: `depth` blocks a resolution, of which the last doubles the size and changes the width.

    Self-attention comes where maps have reached `attention` pixels (0 for none).
    """
    first, *widths = scaled(G_WIDTHS, resolution, width)
    blocks, before = [], first
    for features in widths:
        blocks += [DeepBlock(before, False)] * (depth - 1) + [DeepBlock(features, True)]
        before = features
    where = tuple(depth * (i + 1) for i in range(len(widths)) if 2 * BOTTOM * 2**i == attention)
    return BigGanDeepGenerator(first, tuple(blocks), attention=where, channels=channels, **fields)


def discriminator(
    resolution: int = 128, width: int = 128, depth: int = 2, attention: int = 64, **fields: Any
) -> BigGanDeepDiscriminator:
    """The published discriminator: `depth` blocks a resolution, of which the first halves the size."""
    first, *widths = scaled(D_WIDTHS, resolution, width)
    halved = [i < 2 or resolution != 32 for i in range(len(widths))]
    blocks = [DeepBlock(w, half and d == 0) for w, half in zip(widths, halved, strict=True) for d in range(depth)]
    where = tuple(depth * (i + 1) for i in range(len(widths)) if resolution // 2 ** (i + 1) == attention)
    return BigGanDeepDiscriminator(first, tuple(blocks), attention=where, **fields)


FAMILY = Family("biggan_deep", BigGanDeepGenerator, BigGanDeepDiscriminator, generator, discriminator)
