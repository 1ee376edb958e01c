"""Inverses of a generator's parts (Bau et al. 2019, "Seeing what a GAN cannot generate"): image to features to code.

All compute in the dtype of their input. `train` decides whose statistics the batch norms use.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models import layers

_he = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
_STAGES = (1, 2, 4, 8)  # widths of ResNet-18's four stages, two blocks each, in units of the first


class _Norm(nn.Module):
    """Batch norm like PyTorch's: `new = 0.9 old + 0.1 batch`, the stored variance unbiased."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        c = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (c,))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (c,))
        var = self.variable("batch_stats", "var", jnp.ones, (c,))
        if not train:
            m, v = mean.value, var.value
        else:
            axes = tuple(range(x.ndim - 1))
            m, v = x.mean(axes), x.var(axes)
            if not self.is_initializing():
                count = x.size // c
                mean.value = (0.9 * mean.value + 0.1 * m).astype(mean.value.dtype)
                var.value = (0.9 * var.value + 0.1 * v * (count / max(count - 1, 1))).astype(var.value.dtype)
        return (x - m) * (jax.lax.rsqrt(v + 1e-5) * scale) + bias


class _Conv(nn.Module):
    """A convolution; a 1 x 1 one with a stride reads every stride-th pixel."""

    features: int
    size: int
    stride: int = 1
    bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", _he, (self.size, self.size, x.shape[-1], self.features))
        if self.size == 1:
            x = layers.conv(x[:, :: self.stride, :: self.stride], kernel)
        else:
            x = layers.conv(x, kernel, self.stride, self.size // 2)
        return x + self.param("bias", nn.initializers.zeros, (self.features,)) if self.bias else x


class _Dense(nn.Module):
    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", _he, (x.shape[-1], self.features))
        return x @ kernel + self.param("bias", nn.initializers.zeros, (self.features,))


def _lrelu(x: jax.Array) -> jax.Array:
    return layers.lrelu(x, 1.0)


class LayerInverse(nn.Module):
    """e_i: the features after a part of a generator to those before it.

    Between maps: two 3 x 3 convolutions with batch norms and leaky ReLUs, then a 1 x 1 convolution, with a stride where
    the generator's part enlarges. To a vector: one dense layer over the whole map, batch norm, leaky ReLU, and a second
    dense layer. (The authors' `encoder_net.py`, read for its facts.)

    Fields: `shape` of one sample's features before the part, hidden `width` (0: the channels of `shape`), `normed`
    input (each position's channels divided by their root mean square), the final 1 x 1 convolution `projects`, `unit`
    output (a code whose length the generator does not see).
    """

    shape: tuple[int, ...]
    width: int = 0
    normed: bool = True
    projects: bool = True
    unit: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        x = layers.pixel_norm(x) if self.normed else x
        return self._map(x, train) if len(self.shape) == 3 else self._vector(x, train)

    def _map(self, x: jax.Array, train: bool) -> jax.Array:
        height, channels = self.shape[0], self.shape[2]
        if x.ndim != 4 or x.shape[1] % height:
            raise GanxError(f"features {list(x.shape[1:])} cannot be inverted to {list(self.shape)}; choose other cuts")
        stride, width = x.shape[1] // height, self.width or channels
        if not self.projects and (stride > 1 or width != channels):
            raise GanxError("only the last convolution changes the size; it is needed here")
        for i in (1, 2):
            x = _lrelu(_Norm(name=f"norm{i}")(_Conv(width, 3, name=f"conv{i}")(x), train))
        return _Conv(channels, 1, stride, name="project")(x) if self.projects else x

    def _vector(self, x: jax.Array, train: bool) -> jax.Array:
        size = self.shape[-1]
        width = self.width or max(size, x.shape[-1])
        x = _lrelu(_Norm(name="norm1")(_Dense(width, name="conv1")(x.reshape(len(x), -1)), train))
        x = _Dense(size, name="project")(x)
        x = layers.pixel_norm(x) if self.unit else x
        return jnp.broadcast_to(x.reshape(len(x), *(1,) * (len(self.shape) - 1), size), (len(x), *self.shape))


class ImageInverse(nn.Module):
    """e_f: images to the features at the cut, by ResNet-18 (He et al. 2016) with a 1 x 1 convolution as its head.

    What is halved less often than in the original loses the pooling first, then the first convolution's stride (and
    its size, 3 for 7), then the strides of the stages from the front.

    Fields: `shape` of one sample's features at the cut, `width` of the first stage (64 in the original).
    """

    shape: tuple[int, ...]
    width: int = 64

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        x = self.trunk(x, train)[-1]
        if len(self.shape) == 3:
            return _lrelu(_Conv(self.shape[-1], 1, name="head")(x))
        x = _Dense(self.shape[-1], name="head")(x.reshape(len(x), -1))
        return jnp.broadcast_to(x.reshape(len(x), *(1,) * (len(self.shape) - 1), -1), (len(x), *self.shape))

    def trunk(self, x: jax.Array, train: bool = False) -> list[jax.Array]:
        """Features after each of the four stages, `[n, h, w, c]`."""
        stem, pool, *strides = self._halvings(x.shape[1])
        size = 7 if stem == 2 else 3
        x = nn.relu(_Norm(name="norm")(_Conv(self.width, size, stem, False, name="stem")(x), train))
        if pool == 2:
            window = ((0, 0), (1, 1), (1, 1), (0, 0))
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), window)
        found = []
        for i, (times, stride) in enumerate(zip(_STAGES, (1, *strides), strict=True)):
            for j in (0, 1):
                step = stride if j == 0 else 1
                x = _Residual(times * self.width, step, name=f"stage{i}_{j}")(x, train)
            found.append(x)
        return found

    def _halvings(self, size: int) -> list[int]:
        """Strides of the first convolution, the pooling and the last three stages."""
        goal = self.shape[0] if len(self.shape) == 3 else 4
        count = round(math.log2(max(size / goal, 1)))
        if len(self.shape) == 3 and (size != goal * 2**count or count > 5):
            raise GanxError(f"an image of {size} pixels cannot be halved to {goal} in at most 5 steps; cut elsewhere")
        order = [1, 0, 2, 3, 4]  # what is given up first
        kept = order[5 - min(count, 5) :]
        return [2 if i in kept else 1 for i in range(5)]


class _Residual(nn.Module):
    """ResNet's basic block."""

    features: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        y = nn.relu(_Norm(name="norm1")(_Conv(self.features, 3, self.stride, False, name="conv1")(x), train))
        y = _Norm(name="norm2")(_Conv(self.features, 3, 1, False, name="conv2")(y), train)
        if self.stride > 1 or x.shape[-1] != self.features:
            x = _Norm(name="norm3")(_Conv(self.features, 1, self.stride, False, name="shortcut")(x), train)
        return nn.relu(x + y)
