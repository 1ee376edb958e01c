"""StyleGAN (Karras et al. 2019): a mapping network, AdaIN at every layer, noise, progressive growing.

Parameters are stored raw, as drawn from N(0, 1); the equalised-learning-rate gains are applied when they are used.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models import layers
from ganx.models.conditions import Noise, mapping_context, noise_context, noise_maps
from ganx.models.family import Family
from ganx.models.growing import (
    Lod,
    ToImage,
    as_lod,
    context_lod,
    lod_context,
    scaled_kernel,
    tent,
    up_conv3,
    widths_of,
)
from ganx.models.growing_discriminator import GrowingDiscriminator
from ganx.models.staged import Context, StagedGenerator, no_more_conditions
from ganx.models.style import Dense, Mapping, checked_label

# Rounding adds up over the layers, since every instance norm scales it up again. With bfloat16 in the three highest
# resolutions, where nearly all of the work is, a 128-pixel image is off by 2% of its range at most; in all, by 5%.
REDUCED = 3


class _Layer(nn.Module):
    """Convolution (or the learned constant), noise, bias, leaky ReLU, instance norm, style (StyleGAN figure 1b)."""

    features: int
    resolution: int
    index: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array | None, w: jax.Array, context: Context) -> jax.Array:
        x = self._constant(len(w)) if x is None else self._convolved(x)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x = x.astype(jnp.float32) + self._noise(context) + bias
        style = Dense(2 * self.features, name="style")(w.astype(jnp.float32))
        return adain(layers.lrelu(x, 1.0), style)

    def _constant(self, n: int) -> jax.Array:
        const = self.param("const", nn.initializers.ones, (1, 4, 4, self.features))
        return jnp.broadcast_to(const, (n, *const.shape[1:]))

    def _convolved(self, x: jax.Array) -> jax.Array:
        kernel = scaled_kernel(self, (3, 3, x.shape[-1], self.features)).astype(self.dtype)
        x = x.astype(self.dtype)
        return layers.conv(x, kernel) if self.index % 2 else tent(up_conv3(x, kernel).astype(jnp.float32))

    def _noise(self, context: Context) -> jax.Array:
        shape = (self.resolution, self.resolution)
        const = self.variable("constants", "noise", lambda: jax.random.normal(self.make_rng("params"), shape))
        strength = self.param("noise_strength", nn.initializers.zeros, (self.features,))
        maps = noise_maps(context, self.index, const.value)
        return jnp.zeros((1, 1, 1, 1)) if maps is None else strength * maps


def adain(x: jax.Array, style: jax.Array) -> jax.Array:
    """Adaptive instance normalisation (StyleGAN eq. 1), in float32.

    Args:
      x: `[n, h, w, c]`.
      style: `[n, 2c]`: what the scale exceeds 1 by, then the shift.
    """
    y = x.astype(jnp.float32)
    y = y - y.mean((1, 2), keepdims=True)
    scale, shift = jnp.split(style[:, None, None], 2, -1)
    scale = (scale + 1) * jax.lax.rsqrt(jnp.square(y).mean((1, 2), keepdims=True) + 1e-8)
    return y * scale + shift


class StyleGanGenerator(StagedGenerator):
    """Stages `map`, `layer0`, `layer1` at 4 x 4, `layer2`, `layer3` at 8 x 8, …, `rgb`.

    After `map` the features are the style codes `[n, layers, style]` (W+); code l drives `layerL`, whose features are
    what its style gives. Levels of detail as in `PgganGenerator`.

    Fields: `widths` at 4, 8, …, R pixels, image `channels`, `latent` and `style` sizes, `mapping_layers`, `classes`
    (0 for none), `growing`: whether there are image layers below R, compute `dtype` of the convolutions
    of the three highest resolutions; features are float32.
    """

    widths: tuple[int, ...]
    channels: int = 3
    latent: int = 512
    style: int = 512
    mapping_layers: int = 8
    classes: int = 0
    growing: bool = True
    dtype: str = "float32"

    @property
    def prior(self) -> str:
        return "normal"

    @property
    def resolution(self) -> int:
        """Height and width of the image at full detail."""
        return 4 * 2 ** (len(self.widths) - 1)

    def num_layers(self) -> int:
        """Number of style codes, 2 log2(resolution) - 2."""
        return 2 * len(self.widths)

    def setup(self) -> None:
        self.map = Mapping(
            self.style,
            self.mapping_layers,
            self.num_layers(),
            classes=self.classes,
            embedding="joint",
            gain=layers.SQRT2,
            relu_gain=1.0,
        )
        for index in range(self.num_layers()):
            block = index // 2
            dtype = self.dtype if block >= len(self.widths) - REDUCED else "float32"
            setattr(self, f"layer{index}", _Layer(self.widths[block], 4 * 2**block, index, dtype))
        self.rgb = ToImage(self.widths, self.channels, False, self.growing)

    def stage_names(self) -> tuple[str, ...]:
        return ("map", *(f"layer{i}" for i in range(self.num_layers())), "rgb")

    def latent_shape(self) -> tuple[int, ...]:
        return (self.latent,)

    def begin(
        self,
        z: jax.Array,
        label: jax.Array | None = None,
        psi: float | jax.Array = 1.0,
        cutoff: int | None = None,
        noise: Noise = "const",
        lod: float | Lod = 0.0,
        **conditions: Any,
    ) -> tuple[jax.Array, Context]:
        """Conditions: `label` int32 `[n]`; truncation `psi` on the first `cutoff` layers (all by default); `noise` as
        in `noise_context`; the level of detail `lod`."""
        no_more_conditions("stylegan", "label, psi, cutoff, noise and lod", conditions)
        n, count = len(z), self.num_layers()
        sides = {f"layer{i}": 4 * 2 ** (i // 2) for i in range(count)}
        context = lod_context(as_lod(lod, self.resolution, self.growing), n)
        context |= mapping_context(label, self.classes, psi, cutoff, n, count)
        return z, context | noise_context(noise, n, sides)

    def train_conditions(self, key: jax.Array) -> dict[str, Any]:
        return {"noise": key}

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        if name == "map":
            ws = self.map(features, context.get("label"), context["psi"], train)
            return ws, {k: v for k, v in context.items() if k not in ("psi", "label")}
        if name == "layer0":
            return self.layer0(None, features[:, 0], context), {**context, "ws": features}
        level, fade = context_lod(context)
        if name == "rgb":
            image = self.rgb(features, context.get("before"), fade)
            return image, {k: v for k, v in context.items() if k not in ("before", "ws")}
        index, top = int(name[5:]), len(self.widths) - 1 - level
        if index > 2 * top + 1:
            return features, context
        if index == 2 * top and fade is not None:
            context = {**context, "before": features}
        return getattr(self, name)(features, context["ws"][:, index], context), context

    def style_matrices(self) -> dict[str, jax.Array]:
        params = self.variables["params"]
        return {f"layer{i}": params[f"layer{i}"]["style"]["kernel"].T for i in range(self.num_layers())}


class StyleGanDiscriminator(GrowingDiscriminator):
    """PGGAN's, with blurred halving. With classes the head gives one logit for each, and the label picks one.

    Fields: see `GrowingDiscriminator`.
    """

    halving: str = "blurred"

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool = False, label: jax.Array | None = None, lod: float | Lod = 0.0
    ) -> jax.Array:
        """Logits float32 `[n]` for images `[n, r, r, C]` in [-1, 1], r = R / 2^floor(lod)."""
        label = checked_label(label, self.classes, len(x))
        logits = self._outputs(x, max(self.classes, 1), lod)
        return logits[:, 0] if label is None else jnp.take_along_axis(logits, label[:, None], 1)[:, 0]


def generator(
    resolution: int = 128,
    channels: int = 3,
    latent: int = 512,
    style: int = 512,
    mapping_layers: int = 8,
    classes: int = 0,
    channel_base: int = 16384,
    channel_max: int = 512,
    dtype: str = "float32",
) -> StyleGanGenerator:
    """The standard generator: min(channel_base / r, channel_max) channels at r pixels."""
    widths = widths_of(resolution, channel_base, channel_max)
    return StyleGanGenerator(widths, channels, latent, style, mapping_layers, classes, True, dtype)


def discriminator(
    resolution: int = 128,
    classes: int = 0,
    channel_base: int = 16384,
    channel_max: int = 512,
    group: int = 4,
    dtype: str = "float32",
) -> StyleGanDiscriminator:
    """The standard discriminator; see `StyleGanDiscriminator`."""
    widths, hidden = widths_of(resolution, channel_base, channel_max), min(channel_base // 2, channel_max)
    return StyleGanDiscriminator(widths, hidden, classes, group, dtype=dtype)


FAMILY = Family("stylegan", StyleGanGenerator, StyleGanDiscriminator, generator, discriminator)
