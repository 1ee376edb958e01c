"""Progressive growing (Karras et al. 2018): the level of detail, and what PGGAN and StyleGAN share because of it.

A growing network holds an image layer for every resolution 4, 8, …, R. At level of detail `lod` it works at
R / 2^floor(lod), and its last doubling is faded in: the image is (1 - t) new + t up(old) with t = lod - floor(lod).
`lod = 0` is the full network. The whole part decides which layers run, so it is static and costs nothing for those
that do not; only t may be traced.

Parameters are stored raw, as drawn from N(0, 1); the equalised-learning-rate gains are applied when they are used.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models import layers
from ganx.models.staged import Context

_normal = nn.initializers.normal(1.0)


class Lod(NamedTuple):
    """A level of detail: its whole part and its fraction; a `fade` of None is a fraction of zero, known beforehand."""

    level: int
    fade: float | jax.Array | None = None


def as_lod(lod: float | Lod, resolution: int, growing: bool = True) -> Lod:
    """The level of detail of a network of that final resolution.

    Raises:
      GanxError: out of range, traced, or not 0 for a network that has an image layer only at its final resolution.
    """
    if not isinstance(lod, Lod):
        if isinstance(lod, jax.core.Tracer):
            raise GanxError("the whole part of lod decides which layers run; inside jit give Lod(level, fade)")
        level = math.floor(float(lod))
        lod = Lod(level, float(lod) - level or None)
    top = depth_of(resolution)
    if lod.level < 0 or lod.level > top or (lod.level == top and lod.fade is not None):
        raise GanxError(f"lod is between 0 (full) and {top} (4 x 4) for {resolution} pixels, not {lod.level}")
    if not growing and lod != Lod(0):
        raise GanxError("this network has no image layers for smaller resolutions; leave lod at 0")
    return lod


def depth_of(resolution: int) -> int:
    """How often 4 pixels double to `resolution`."""
    depth = int(math.log2(max(resolution, 1))) - 2
    if resolution < 8 or resolution != 4 * 2**depth:
        raise GanxError(
            f"the resolution of a growing GAN is a power of two from 8 up, not {resolution}; ?size=N resizes a source"
        )
    return depth


def widths_of(resolution: int, base: int, limit: int) -> tuple[int, ...]:
    """Channels at 4, 8, …, `resolution`: min(base / r, limit)."""
    widths = tuple(min(base // (4 * 2**i), limit) for i in range(depth_of(resolution) + 1))
    if widths[-1] < 1:
        raise GanxError(f"channel_base {base} and channel_max {limit} leave no channels at {resolution} pixels")
    return widths


def lod_context(lod: Lod, n: int) -> Context:
    """What stages need to know: `{"lod": {level: fade [n]}}`, the level as a key and so static; {} for full detail."""
    if lod == Lod(0):
        return {}
    fade = None if lod.fade is None else jnp.broadcast_to(jnp.asarray(lod.fade, jnp.float32), (n,))
    return {"lod": {str(lod.level): fade}}


def context_lod(context: Context) -> Lod:
    """The inverse of `lod_context`."""
    ((level, fade),) = context.get("lod", {"0": None}).items()
    return Lod(int(level), fade)


def nearest_up(x: jax.Array) -> jax.Array:
    """Every pixel twice along both axes: `[n, h, w, c]` to `[n, 2h, 2w, c]`."""
    n, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c)).reshape(n, 2 * h, 2 * w, c)


def mean_down(x: jax.Array) -> jax.Array:
    """Means of 2 x 2 pixels: `[n, h, w, c]` to `[n, h/2, w/2, c]`."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


def tent(x: jax.Array) -> jax.Array:
    """The filter [1, 2, 1] / 4 along both axes of `x` `[n, h, w, c]`, zeros around; the size stays."""
    for axis in (1, 2):
        size = x.shape[axis]
        padded = jnp.pad(x, [(1, 1) if i == axis else (0, 0) for i in range(4)])
        before, after = (jax.lax.slice_in_dim(padded, k, k + size, 1, axis) for k in (0, 2))
        x = 0.5 * x + 0.25 * (before + after)
    return x


def blend(new: jax.Array, old: jax.Array, fade: jax.Array | float) -> jax.Array:
    """(1 - fade) new + fade old, for `fade` `[n]` or a scalar."""
    fade = jnp.asarray(fade, new.dtype)
    fade = fade.reshape(fade.shape + (1,) * (new.ndim - fade.ndim)) if fade.ndim else fade
    return new + fade * (old - new)


def _widened(kernel: jax.Array) -> jax.Array:
    """A 3 x 3 kernel summed over its four shifts by one pixel, 4 x 4."""
    for axis in (0, 1):
        pads = [[(int(k == axis) * side, int(k == axis) * (1 - side)) for k in range(4)] for side in (0, 1)]
        kernel = jnp.pad(kernel, pads[0]) + jnp.pad(kernel, pads[1])
    return kernel


def up_conv3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`nearest_up`, then a 3 x 3 convolution, in 4 instead of 9 products a pixel: four taps fall on two pixels."""
    return layers.up_conv(x, _widened(kernel))


def down_conv3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A 3 x 3 convolution, then `mean_down`, in 16 instead of 36 products a pixel."""
    return layers.down_conv(x, _widened(kernel) * 0.25)


def scaled_kernel(module: nn.Module, shape: tuple[int, ...], gain: float = layers.SQRT2) -> jax.Array:
    """A compact module's own `kernel`, times `gain / sqrt(fan_in)`."""
    return module.param("kernel", _normal, shape) * (gain / math.sqrt(math.prod(shape[:-1])))


def weights(module: nn.Module, shape: tuple[int, ...], gain: float = layers.SQRT2) -> tuple[jax.Array, jax.Array]:
    """`scaled_kernel`, and the module's own `bias`."""
    return scaled_kernel(module, shape, gain), module.param("bias", nn.initializers.zeros, shape[-1:])


class Weights(nn.Module):
    """`weights` as a module of their own: nothing is computed but the scaling."""

    shape: tuple[int, ...]
    gain: float = layers.SQRT2

    @nn.compact
    def __call__(self) -> tuple[jax.Array, jax.Array]:
        return weights(self, self.shape, self.gain)


class ToImage(nn.Module):
    """The image layers `r4`, `r8`, … of a generator, linear and 1 x 1, in float32.

    Fields: `widths` of the features at 4, 8, …, R pixels, image `channels`, `norm` features first (PGGAN), `growing`:
    whether there are layers below R.
    """

    widths: tuple[int, ...]
    channels: int
    norm: bool
    growing: bool

    @nn.compact
    def __call__(self, x: jax.Array, before: jax.Array | None, fade: jax.Array | float | None) -> jax.Array:
        """The image of the features `x`, faded with that of the features `before` at half the size."""
        found = {}  # for all resolutions, so that all have their parameters whichever is in use
        for i, width in enumerate(self.widths):
            if self.growing or i == len(self.widths) - 1:
                found[4 * 2**i] = Weights((1, 1, width, self.channels), 1.0, name=f"r{4 * 2**i}")()
        image = self._image(x, found[x.shape[1]])
        if before is None or fade is None:
            return image
        return blend(image, nearest_up(self._image(before, found[before.shape[1]])), fade)

    def _image(self, x: jax.Array, weights: tuple[jax.Array, jax.Array]) -> jax.Array:
        x = x.astype(jnp.float32)
        return layers.conv(layers.pixel_norm(x) if self.norm else x, weights[0]) + weights[1]
