"""The parts that ModularGAN (Zhao et al. 2018) and its baselines are made of: convolutions, norms, blocks, heads.

Every convolution that meets a repeated condition pads with zeros, and must: away from the border a constant input
adds a constant, which the instance normalisation behind it takes away again. The condition enters from the border.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models import layers

SLOPE = 0.01  # of the leaky ReLU in StarGAN's and ModularGAN's critics
CONDITIONING = ("repeat", "film")


def uniform_fan(fan: int) -> Callable[..., jax.Array]:
    """U(±1/√fan): what PyTorch gives convolutions and their biases by default, and so the published code."""
    bound = 1.0 / math.sqrt(fan)
    return lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)


class Conv(nn.Module):
    """A convolution, or with `up` PyTorch's `ConvTranspose2d(4, 2, 1)`; no bias by default, since a norm follows."""

    features: int
    kernel: int
    stride: int = 1
    padding: int = 0
    bias: bool = False
    up: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        init = uniform_fan(self.kernel**2 * (self.features if self.up else x.shape[-1]))
        kernel = self.param("kernel", init, shape).astype(self.dtype)
        x = x.astype(self.dtype)
        y = layers.up_conv(x, kernel) if self.up else layers.conv(x, kernel, self.stride, self.padding)
        return y + self.param("bias", init, (self.features,)).astype(y.dtype) if self.bias else y


class InstanceNorm(nn.Module):
    """Each channel of each sample to mean 0 and variance 1, in float32; learned scale and shift unless `plain`."""

    plain: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        wide = x.astype(jnp.float32)
        centred = wide - wide.mean((1, 2), keepdims=True)
        y = centred * jax.lax.rsqrt(jnp.square(centred).mean((1, 2), keepdims=True) + 1e-5)
        if not self.plain:
            scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
            y = y * scale + self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        return y.astype(x.dtype)


class Block(nn.Module):
    """Residual block: conv3-norm-ReLU-conv3-norm, plus the input; nothing after the sum."""

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = Conv(x.shape[-1], 3, 1, 1, dtype=self.dtype, name="conv0")(x)
        y = nn.relu(InstanceNorm(name="norm0")(y))
        y = Conv(x.shape[-1], 3, 1, 1, dtype=self.dtype, name="conv1")(y)
        return x + InstanceNorm(name="norm1")(y)


class Trunk(nn.Module):
    """Image to features at a quarter of the size: conv7, two conv4 with stride 2, then `blocks` residual blocks.

    ModularGAN's encoder, and the first half of StarGAN's generator. Without `norm` (ours) convolutions have biases
    instead: an instance norm takes a colour that fills a picture away, and of two flat colours it keeps the contrast.
    """

    width: int = 64
    blocks: int = 0
    dtype: str = "float32"
    norm: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        plan = ((self.width, 7, 1, 3), (2 * self.width, 4, 2, 1), (4 * self.width, 4, 2, 1))
        for i, (features, kernel, stride, padding) in enumerate(plan):
            x = Conv(features, kernel, stride, padding, not self.norm, dtype=self.dtype, name=f"conv{i}")(x)
            x = nn.relu(InstanceNorm(name=f"norm{i}")(x) if self.norm else x)
        for i in range(self.blocks):
            x = Block(self.dtype, name=f"block{i}")(x)
        return x


class Painter(nn.Module):
    """Features back to an image: two transposed conv4, then conv7 and tanh without a norm. ModularGAN's reconstructor.

    The supplementary table prints "IN, ReLU" for the last layer, out of which no image in [-1, 1] can come.
    """

    channels: int = 3
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        for i in range(2):
            x = Conv(width >> (i + 1), 4, up=True, dtype=self.dtype, name=f"up{i}")(x)
            x = nn.relu(InstanceNorm(name=f"norm{i}")(x))
        x = Conv(self.channels, 7, 1, 3, dtype=self.dtype, name="rgb")(x)
        return jnp.tanh(x.astype(jnp.float32))


class Transformer(nn.Module):
    """T_i: (features, value) to (features with attribute i changed, the mask of where).

    f' = blocks(norm(conv(f, a))), g' = (1 + tanh(conv7(f'))) / 2, result g' f' + (1 - g') f. The tanh is rescaled
    first: blending with the raw one, in (-1, 1), is a known bug of a public re-implementation.

    Fields: `blocks`, whether there is a `mask` (without one the result is f', an ablation), and how the value enters:
    "repeat" over space as the paper has it, or "film", a scale and shift behind the first norm.
    """

    blocks: int = 6
    mask: bool = True
    conditioning: str = "repeat"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, f: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`f` `[n, h, w, c]`, `value` `[n, k]`; returns features like `f` and a mask `[n, h, w, 1]` in (0, 1)."""
        changed = self._conditioned(f, value)
        for i in range(self.blocks):
            changed = Block(self.dtype, name=f"block{i}")(changed)
        if not self.mask:
            return changed, jnp.ones((*f.shape[:3], 1))
        logit = Conv(1, 7, 1, 3, dtype=self.dtype, name="mask")(changed)
        gate = 0.5 * (1.0 + jnp.tanh(logit.astype(jnp.float32)))
        return blend(f, changed, gate), gate

    def _conditioned(self, f: jax.Array, value: jax.Array) -> jax.Array:
        width = f.shape[-1]
        if self.conditioning == "repeat":
            plane = jnp.broadcast_to(value[:, None, None].astype(f.dtype), (*f.shape[:3], value.shape[-1]))
            f = jnp.concatenate([f, plane], -1)
        x = InstanceNorm(name="norm")(Conv(width, 3, 1, 1, dtype=self.dtype, name="conv")(f))
        if self.conditioning == "film":
            turn = self.param("film", uniform_fan(value.shape[-1]), (value.shape[-1], 2 * width))
            scale, shift = jnp.split((value @ turn)[:, None, None], 2, -1)
            x = (x * (1.0 + scale) + shift).astype(x.dtype)
        return nn.relu(x)


def blend(f: jax.Array, changed: jax.Array, gate: jax.Array) -> jax.Array:
    """`gate` f' + (1 - gate) f, exactly f where the gate is 0 and exactly f' where it is 1."""
    mixed = gate * changed.astype(jnp.float32) + (1.0 - gate) * f.astype(jnp.float32)
    return mixed.astype(f.dtype)


class Source(nn.Module):
    """G: latents with the one-hot content `[n, d]` to features `[n, size, size, width]`, by doubling from 4 x 4.

    The first layer normalises on its 4 x 4 map: on one pixel instance normalisation would erase the input.
    """

    size: int
    width: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        doublings = int(math.log2(self.size // 4))
        features = self.width << doublings
        kernel = self.param("kernel", uniform_fan(16 * features), (4, 4, z.shape[-1], features))
        x = layers.project(z.astype(self.dtype), kernel.astype(self.dtype))
        x = nn.relu(InstanceNorm(name="norm")(x))
        for i in range(doublings):
            features //= 2
            x = Conv(features, 4, up=True, dtype=self.dtype, name=f"up{i}")(x)
            x = nn.relu(InstanceNorm(name=f"norm{i}")(x))
        return x


class Stack(nn.Module):
    """The critic's convolutions: conv4 with stride 2, doubling, biases, leaky ReLU; no norm of any kind."""

    width: int
    depth: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i in range(self.depth):
            x = Conv(self.width << i, 4, 2, 1, bias=True, dtype=self.dtype, name=f"conv{i}")(x)
            x = nn.leaky_relu(x, SLOPE)
        return x


class Heads(nn.Module):
    """Scores of patches and logits of values, both linear and in float32: a critic that squashes them does not work."""

    outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Scores `[n, h, w]` and logits `[n, outputs]`."""
        x = x.astype(jnp.float32)
        scores = Conv(1, 3, 1, 1, name="src")(x)[..., 0]
        return scores, Conv(self.outputs, x.shape[1], name="cls")(x)[:, 0, 0]


def critic_depth(resolution: int, depth: int = 0) -> int:
    """How many convolutions a critic has: those asked for, or as many as leave 2 x 2."""
    most = int(math.log2(resolution)) - 1
    if depth > most:
        raise GanxError(f"a critic of {depth} layers leaves nothing of {resolution} pixels; at most {most}")
    return depth or most


def check_size(family: str, resolution: int) -> None:
    """Refuses sizes that the networks cannot halve and double exactly."""
    if resolution < 16 or resolution & (resolution - 1):
        raise GanxError(f"{family} takes images of 16, 32, 64, … pixels, not {resolution}; resize with ?size=64")


def value_code(value: Any, count: int) -> jax.Array:
    """Values int32 `[n]` of an attribute with `count` of them as the network takes them, float32 `[n, channels]`:
    one channel of 0 or 1 for two values, one-hot for more. -1 is all zeros."""
    if count == 2:
        return (jnp.asarray(value) == 1).astype(jnp.float32)[..., None]
    return jax.nn.one_hot(value, count)


def channels_of(count: int) -> int:
    """Input channels, and logits, of an attribute with `count` values."""
    return 1 if count == 2 else count
