"""Convolutions, resampling and normalisation, in the forms that XLA runs well; models write none of their own.

Activations are NHWC, kernels HWIO and canonical: the array that correlates with the (zero-inserted) input.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models.correlate import correlate, correlate_transpose
from ganx.models.resample import blur, double, halve

SQRT2 = math.sqrt(2.0)


def lrelu(x: jax.Array, gain: float = SQRT2, slope: float = 0.2) -> jax.Array:
    """Leaky ReLU times `gain`; StyleGAN2 multiplies by sqrt(2) to keep the variance."""
    return jnp.where(x >= 0, x * gain, x * (slope * gain))


def pixel_norm(x: jax.Array) -> jax.Array:
    """Each vector along the last axis divided by its root mean square (Karras et al. 2018, §4.2)."""
    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-8)


def conv(x: jax.Array, kernel: jax.Array, stride: int = 1, padding: str | int = "same") -> jax.Array:
    """Correlation of `x` `[n, h, w, i]` with `kernel` `[kh, kw, i, o]`; `padding` is "same" or zeros a side."""
    if kernel.shape[:2] == (1, 1) and stride == 1 and padding in ("same", 0):
        return _pointwise(x, kernel[0, 0])
    if padding == "same":
        high, wide = jax.lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], (stride, stride), "SAME")
        return correlate(x, kernel, stride, (high, wide))
    return correlate(x, kernel, stride, ((int(padding),) * 2,) * 2)


def _pointwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A 1 x 1 convolution. Written with the kernel as `[o, i]`: its gradient then is the matrix product, samples summed
    over, that needs no transposed copy of an activation."""
    rows = jax.lax.optimization_barrier(kernel.T)
    return jax.lax.dot_general(x, rows, (((x.ndim - 1,), (1,)), ((), ())))


def down_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """4 x 4 convolution, stride 2, one zero a side: `[n, h, w, i]` to `[n, h/2, w/2, o]`."""
    return conv(x, kernel, 2, 1)


def _transposed(x: jax.Array, kernel: jax.Array, stride: int, padding: int, size: tuple[int, int]) -> jax.Array:
    """Canonical `kernel` over the zero-inserted `x`: the transpose of a strided convolution with the kernel turned."""
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    return correlate_transpose(x, turned, stride, ((padding, padding),) * 2, size)


def up_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """PyTorch's `ConvTranspose2d(4, stride=2, padding=1)`: `[n, h, w, i]` to `[n, 2h, 2w, o]`."""
    return _transposed(x, kernel, 2, 1, (2 * x.shape[1], 2 * x.shape[2]))


def project(z: jax.Array, kernel: jax.Array) -> jax.Array:
    """Latents `[n, i]` to maps `[n, k, k, o]`: `ConvTranspose2d(k)` on a 1 x 1 map, as a matrix product."""
    kh, kw, _, out = kernel.shape
    flat = jnp.moveaxis(kernel[::-1, ::-1], 2, 0).reshape(z.shape[-1], -1)
    return (z @ flat).reshape(len(z), kh, kw, out)


def fir_down(x: jax.Array) -> jax.Array:
    """Half the size through [1, 3, 3, 1] (StyleGAN2): `[n, h, w, c]` to `[n, h/2, w/2, c]`."""
    return halve(x)


def fir_up(x: jax.Array) -> jax.Array:
    """Twice the size through [1, 3, 3, 1], brightness kept: `[n, h, w, c]` to `[n, 2h, 2w, c]`."""
    return double(x)


def modulated_conv(
    x: jax.Array, kernel: jax.Array, styles: jax.Array, demodulate: bool = True, up: bool = False
) -> jax.Array:
    """StyleGAN2's modulated convolution (Karras et al. 2020, §2.2), by scaling activations instead of kernels.

    Args:
      x: `[n, h, w, i]`.
      kernel: `[k, k, i, o]`, shared by all samples.
      styles: `[n, i]`, the factor on each input channel.
      demodulate: divide each output channel by the norm of its modulated kernel.
      up: double the size: 3 x 3 over the zero-inserted input, then [1, 3, 3, 1].
    """
    styles = styles.astype(jnp.float32)
    y = x * styles[:, None, None].astype(x.dtype)
    cast = kernel.astype(x.dtype)
    if up:
        size = (2 * x.shape[1] + 1, 2 * x.shape[2] + 1)
        y = blur(_transposed(y, 4.0 * cast, 2, 0, size), 1)  # 4: three of four samples were zeros
    else:
        y = conv(y, cast)
    if demodulate:
        norms = jnp.square(styles) @ jnp.square(kernel.astype(jnp.float32)).sum((0, 1))
        y = y * jax.lax.rsqrt(norms + 1e-8)[:, None, None].astype(y.dtype)
    return y


def blur_down_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """[1, 3, 3, 1], then 3 x 3 with stride 2 (StyleGAN2's D): `[n, h, w, i]` to `[n, h/2, w/2, o]`."""
    return conv(blur(x, 2), kernel, 2, 0)


def minibatch_stddev(x: jax.Array, group: int, features: int = 1) -> jax.Array:
    """Appends `features` channels of standard deviation over groups of samples (Karras et al. 2018, §3).

    A group of `min(group, n)` is a strided subset of the batch, which it must divide.
    """
    n, h, w, c = x.shape
    group = min(group, n)
    y = x.reshape(group, n // group, h, w, features, c // features)
    y = jnp.sqrt(y.var(0) + 1e-8).mean((1, 2, 4))
    y = jnp.broadcast_to(y[:, None, None], (n // group, h, w, features))
    return jnp.concatenate([x, jnp.tile(y, (group, 1, 1, 1))], -1)


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, in float32.

    Training uses the batch's statistics; stored ones follow PyTorch: `new = 0.9 old + 0.1 batch`, variance unbiased.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        c = x.shape[-1]
        scale = self.param("scale", lambda key: 1.0 + 0.02 * jax.random.normal(key, (c,)))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (c,))
        var = self.variable("batch_stats", "var", jnp.ones, (c,))
        x32 = x.astype(jnp.float32)
        if not train:
            m, v = mean.value, var.value
        else:
            axes = tuple(range(x.ndim - 1))
            m, v = x32.mean(axes), x32.var(axes)
            if not self.is_initializing():
                count = x.size // c
                unbiased = v * (count / max(count - 1, 1))
                mean.value = self.momentum * mean.value + (1 - self.momentum) * m
                var.value = self.momentum * var.value + (1 - self.momentum) * unbiased
        inv = jax.lax.rsqrt(v + self.epsilon) * scale
        return (x32 * inv + (bias - m * inv)).astype(x.dtype)
