"""The discriminator of progressive growing: PGGAN's and StyleGAN's differ in how a block halves and in its head."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models import layers
from ganx.models.growing import (
    Lod,
    Weights,
    as_lod,
    blend,
    down_conv3,
    mean_down,
    tent,
    weights,
)
from ganx.models.style import Dense

# How a block's second layer halves: after the leaky ReLU (PGGAN); before it, as fused convolutions do (official PGGAN
# networks); or like that, on features blurred by [1, 2, 1] (StyleGAN).
HALVINGS = ("mean_last", "mean_first", "blurred")


class _Conv(nn.Module):
    """Equalised 3 x 3 convolution, bias, leaky ReLU; `halving` is one of `HALVINGS`, or "" for none."""

    features: int
    halving: str = ""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel, bias = weights(self, (3, 3, x.shape[-1], self.features))
        kernel, bias = kernel.astype(x.dtype), bias.astype(x.dtype)
        if self.halving in ("", "mean_last"):
            x = layers.lrelu(layers.conv(x, kernel) + bias, 1.0)
            return mean_down(x) if self.halving else x
        x = tent(x) if self.halving == "blurred" else x
        return layers.lrelu(down_conv3(x, kernel) + bias, 1.0)


class _Block(nn.Module):
    features: int
    halving: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = _Conv(x.shape[-1], name="conv0")(x)
        return _Conv(self.features, self.halving, name="conv1")(x)


class _Head(nn.Module):
    hidden: int
    outputs: int
    group: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        x = _Conv(width, name="conv")(layers.minibatch_stddev(x, self.group))
        x = layers.lrelu(Dense(self.hidden, gain=layers.SQRT2, name="fc")(x.reshape(len(x), -1)), 1.0)
        return Dense(self.outputs, name="out")(x)


class _FromImage(nn.Module):
    """Scaled weights of the layers from images, by the image's size."""

    widths: tuple[int, ...]
    channels: int
    growing: bool

    @nn.compact
    def __call__(self) -> dict[int, tuple[jax.Array, jax.Array]]:
        sizes = {4 * 2**i: width for i, width in enumerate(self.widths)}
        if not self.growing:
            sizes = dict([sizes.popitem()])
        return {r: Weights((1, 1, self.channels, width), name=f"r{r}")() for r, width in sizes.items()}


class GrowingDiscriminator(nn.Module):
    """Abstract: a family gives the head's outputs a meaning.

    Fields: `widths` at 4, 8, …, R pixels, `hidden` of the dense layer, `classes` (0 for none), `group` of the minibatch
    standard deviation, `halving` (see `HALVINGS`), `growing`: whether there are image layers below R, compute `dtype`.
    """

    widths: tuple[int, ...]
    hidden: int = 512
    classes: int = 0
    group: int = 4
    halving: str = "mean_last"
    growing: bool = True
    dtype: str = "float32"

    @property
    def resolution(self) -> int:
        """Height and width of the images at full detail."""
        return 4 * 2 ** (len(self.widths) - 1)

    def _outputs(self, x: jax.Array, outputs: int, lod: float | Lod) -> jax.Array:
        """The head's outputs, float32 `[n, outputs]`; call it from a compact method."""
        lod = as_lod(lod, self.resolution, self.growing)
        if x.shape[1] != self.resolution >> lod.level:
            want = self.resolution >> lod.level
            raise GanxError(f"at lod {lod.level} this discriminator reads {want} x {want} images, not {x.shape[1]}")
        from_image, top = self._from_image(x.shape[-1]), len(self.widths) - 1 - lod.level
        image, x = x, from_image(x)
        for i in range(top, 0, -1):
            x = _Block(self.widths[i - 1], self.halving, name=f"b{4 * 2**i}")(x)
            if i == top and lod.fade is not None:
                x = blend(x, from_image(mean_down(image)), lod.fade)
        return _Head(self.hidden, outputs, self.group, name="b4")(x.astype(jnp.float32))

    def _from_image(self, channels: int) -> Callable[[jax.Array], jax.Array]:
        """The image layers `fromrgb/r4`, `fromrgb/r8`, …: the features of an image, by its size."""
        holder = _FromImage(self.widths, channels, self.growing, name="fromrgb")()

        def features(image: jax.Array) -> jax.Array:
            kernel, bias = holder[image.shape[1]]
            image = image.astype(self.dtype)
            return layers.lrelu(layers.conv(image, kernel.astype(image.dtype)) + bias.astype(image.dtype), 1.0)

        return features
