"""StyleGAN2 (Karras et al. 2020): generator with RGB skips, residual discriminator.

Parameters are stored raw, as drawn from N(0, 1); the equalised-learning-rate gains are applied when they are used.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models import layers
from ganx.models.family import Family
from ganx.models.staged import Context, StagedGenerator, no_more_conditions

_normal = nn.initializers.normal(1.0)
W_AVG_DECAY = 0.995


def _channels(resolution: int, base: int, limit: int) -> int:
    return min(base // resolution, limit)


class _Dense(nn.Module):
    """Equalised linear layer: weight N(0, 1/lr_mul²), gain lr_mul/sqrt(fan_in), bias scaled by lr_mul."""

    features: int
    bias_init: float = 0.0
    lr_mul: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", nn.initializers.normal(1.0 / self.lr_mul), (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.constant(self.bias_init / self.lr_mul), (self.features,))
        gain = self.lr_mul / math.sqrt(x.shape[-1])
        return x @ (kernel * gain).astype(x.dtype) + (bias * self.lr_mul).astype(x.dtype)


class _Mapping(nn.Module):
    """z to w, truncated towards the running mean and repeated for every layer: `[n, layers, style]`."""

    style: int
    depth: int
    layers: int

    @nn.compact
    def __call__(self, z: jax.Array, psi: jax.Array, train: bool) -> jax.Array:
        x = layers.pixel_norm(z)
        for i in range(self.depth):
            x = layers.lrelu(_Dense(self.style, lr_mul=0.01, name=f"fc{i}")(x))
        w_avg = self.variable("averages", "w_avg", jnp.zeros, (self.style,))
        if train and not self.is_initializing():
            w_avg.value = W_AVG_DECAY * w_avg.value + (1 - W_AVG_DECAY) * jax.lax.stop_gradient(x).mean(0)
        ws = jnp.broadcast_to(x[:, None], (len(x), self.layers, self.style))
        truncated = w_avg.value + psi[..., None] * (ws - w_avg.value)
        return jnp.where(psi[..., None] == 1.0, ws, truncated)


class _Layer(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias, leaky ReLU (StyleGAN2 figure 2c)."""

    features: int
    resolution: int
    up: bool
    index: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array | None, w: jax.Array, context: Context) -> jax.Array:
        if x is None:  # the first layer starts from a learned constant
            const = self.param("const", _normal, (1, 4, 4, self.features))
            x = jnp.broadcast_to(const, (len(w), *const.shape[1:])).astype(self.dtype)
        kernel = self.param("kernel", _normal, (3, 3, x.shape[-1], self.features))
        style = _Dense(x.shape[-1], bias_init=1.0, name="style")(w)
        x = layers.modulated_conv(x.astype(self.dtype), kernel, style, up=self.up)
        x = x + self._noise(len(w), context).astype(x.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return layers.lrelu(x + bias.astype(x.dtype))

    def _noise(self, n: int, context: Context) -> jax.Array:
        shape = (self.resolution, self.resolution)
        const = self.variable("constants", "noise", lambda: jax.random.normal(self.make_rng("params"), shape))
        strength = self.param("noise_strength", nn.initializers.zeros, ())
        if "noise" not in context:
            return strength * const.value[None, :, :, None]
        if context["noise"] is None:
            return jnp.zeros((1, 1, 1, 1))
        draw = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, self.index), shape))
        return strength * draw(context["noise"])[..., None]


class _ToRgb(nn.Module):
    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
        kernel = self.param("kernel", _normal, (1, 1, x.shape[-1], self.channels))
        style = _Dense(x.shape[-1], bias_init=1.0, name="style")(w) / math.sqrt(x.shape[-1])
        x = layers.modulated_conv(x.astype(jnp.float32), kernel, style, demodulate=False)
        return x + self.param("bias", nn.initializers.zeros, (self.channels,))


class StyleGan2Generator(StagedGenerator):
    """Stages `map`, then `layer0`, `rgb0`, `layer1`, `layer2`, `rgb1`, …, one rgb stage a resolution.

    After `map` the features are the style codes `[n, layers, style]` (W+), after `layerL` the feature maps, after
    `rgbB` the image so far. Code l drives `layerL`; `rgbB` shares code 2B+1 with the next layer.

    Fields: `resolution`, image `channels`, `latent` and `style` sizes, `mapping_layers`, `channel_base` and
    `channel_max` (channels at resolution r are min(base/r, max)), compute `dtype` of the convolutions.
    """

    resolution: int
    channels: int = 3
    latent: int = 512
    style: int = 512
    mapping_layers: int = 8
    channel_base: int = 32768
    channel_max: int = 512
    dtype: str = "float32"

    @property
    def prior(self) -> str:
        return "normal"

    def num_layers(self) -> int:
        """Number of style codes, 2 log2(resolution) - 2."""
        return 2 * int(math.log2(self.resolution)) - 2

    def setup(self) -> None:
        self.map = _Mapping(self.style, self.mapping_layers, self.num_layers())
        for index in range(self.num_layers() - 1):
            resolution = 4 * 2 ** ((index + 1) // 2)
            width = _channels(resolution, self.channel_base, self.channel_max)
            layer = _Layer(width, resolution, index % 2 == 1, index, self.dtype)
            setattr(self, f"layer{index}", layer)
        for block in range(self.num_layers() // 2):
            setattr(self, f"rgb{block}", _ToRgb(self.channels))

    def stage_names(self) -> tuple[str, ...]:
        names = ["map"]
        for index in range(self.num_layers() - 1):
            names.append(f"layer{index}")
            if index % 2 == 0:
                names.append(f"rgb{index // 2}")
        return tuple(names)

    def latent_shape(self) -> tuple[int, ...]:
        return (self.latent,)

    def begin(
        self,
        z: jax.Array,
        psi: float | jax.Array = 1.0,
        cutoff: int | None = None,
        noise: str | jax.Array = "const",
        **conditions: Any,
    ) -> tuple[jax.Array, Context]:
        """Conditions: truncation `psi` on the first `cutoff` layers (all by default); `noise` is "const" (the stored
        maps), "none", or a key that draws fresh noise for every sample."""
        no_more_conditions("stylegan2", "psi, cutoff and noise", conditions)
        n, count = len(z), self.num_layers()
        below = jnp.arange(count) < (count if cutoff is None else cutoff)
        context: Context = {"psi": jnp.broadcast_to(jnp.where(below, psi, 1.0), (n, count))}
        if isinstance(noise, str):
            if noise not in ("const", "none"):
                raise GanxError(f'noise is "const", "none" or a key from jax.random.key, not {noise!r}')
            return z, context if noise == "const" else {**context, "noise": None}
        return z, {**context, "noise": jax.random.split(noise, n)}

    def train_conditions(self, key: jax.Array) -> dict[str, Any]:
        return {"noise": key}

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        stage = getattr(self, name)
        if name == "map":
            psi = context["psi"]
            return stage(features, psi, train), {k: v for k, v in context.items() if k != "psi"}
        if name == "layer0":
            return stage(None, features[:, 0], context), {**context, "ws": features}
        ws = context["ws"]
        if name.startswith("rgb"):
            rgb = stage(features, ws[:, 2 * int(name[3:]) + 1])
            image = layers.fir_up(context["image"]) + rgb if "image" in context else rgb
            return image, {**{k: v for k, v in context.items() if k != "image"}, "x": features}
        index = int(name[5:])
        if index % 2 == 1:  # the stage before was an rgb stage, whose features are the image
            context = {**context, "image": features}
            features = context.pop("x")
        return stage(features, ws[:, index], context), context

    def style_matrices(self) -> dict[str, jax.Array]:
        stages = [f"layer{i}" for i in range(self.num_layers() - 1)] + [f"rgb{self.num_layers() // 2 - 1}"]
        return {stage: self.variables["params"][stage]["style"]["kernel"].T for stage in stages}


class _Conv(nn.Module):
    """Equalised convolution of the discriminator; `down` halves the size through the FIR filter."""

    features: int
    kernel: int = 3
    down: bool = False
    bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", _normal, size) / math.sqrt(math.prod(size[:3]))
        form = layers.blur_down_conv if self.down else layers.conv
        x = form(x, kernel.astype(x.dtype))
        if self.bias:
            x = x + self.param("bias", nn.initializers.zeros, (self.features,)).astype(x.dtype)
        return x


class _ResidualDown(nn.Module):
    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        skip = _Conv(self.features, kernel=1, bias=False, name="skip")(layers.fir_down(x))
        x = layers.lrelu(_Conv(x.shape[-1], name="conv0")(x))
        x = layers.lrelu(_Conv(self.features, down=True, name="conv1")(x))
        return (x + skip) * math.sqrt(0.5)


class _Head(nn.Module):
    group: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        x = layers.minibatch_stddev(x, self.group)
        x = layers.lrelu(_Conv(width, name="conv")(x))
        x = layers.lrelu(_Dense(width, name="fc")(x.reshape(len(x), -1)))
        return _Dense(1, name="out")(x)[:, 0]


class StyleGan2Discriminator(nn.Module):
    """Residual discriminator. Fields as for the generator; `group` is the minibatch-stddev group size."""

    resolution: int
    channel_base: int = 32768
    channel_max: int = 512
    group: int = 4
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits float32 `[n]` for images `[n, H, W, C]` in [-1, 1]."""
        width = _channels(self.resolution, self.channel_base, self.channel_max)
        x = layers.lrelu(_Conv(width, kernel=1, name="fromrgb")(x.astype(self.dtype)))
        resolution = self.resolution
        while resolution > 4:
            width = _channels(resolution // 2, self.channel_base, self.channel_max)
            x = _ResidualDown(width, name=f"b{resolution}")(x)
            resolution //= 2
        return _Head(self.group, name="b4")(x.astype(jnp.float32))


def _check(resolution: int) -> None:
    if resolution < 8 or resolution & (resolution - 1):
        raise GanxError(f"a StyleGAN2's resolution is a power of two from 8 up, not {resolution}")


def generator(resolution: int = 64, **fields: Any) -> StyleGan2Generator:
    """A generator; `fields` as in `StyleGan2Generator`."""
    _check(resolution)
    return StyleGan2Generator(resolution, **fields)


def discriminator(resolution: int = 64, **fields: Any) -> StyleGan2Discriminator:
    """A discriminator; `fields` as in `StyleGan2Discriminator`."""
    _check(resolution)
    return StyleGan2Discriminator(resolution, **fields)


FAMILY = Family("stylegan2", StyleGan2Generator, StyleGan2Discriminator, generator, discriminator)
