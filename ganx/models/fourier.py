"""Where a StyleGAN3 begins: waves on an unbounded plane, which turn and move exactly, wherever the samples lie."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ganx.models.filtered import Signal
from ganx.models.layers import conv


class FourierInput(nn.Module):
    """Fourier features, turned and shifted as the first style code says (§3.1), and a 1 x 1 mixing of them.

    The frequencies fill the disc below the cutoff evenly. Coordinates run from -1/2 to 1/2 across the image, x to the
    right and y down.
    """

    signal: Signal

    @nn.compact
    def __call__(self, w: jax.Array, transform: jax.Array | None) -> jax.Array:
        """`[n, size, size, channels]` float32.

        Args:
          w: `[n, style]`.
          transform: `[n, 3, 3]`, from homogeneous coordinates of the image to those where it is read, before the
            style's own; None for the stored one.
        """
        signal = self.signal
        freqs = self.variable("constants", "freqs", lambda: _disc(self.make_rng("params"), signal)).value
        phases = self.variable("constants", "phases", lambda: _turns(self.make_rng("params"), signal)).value
        stored = self.variable("constants", "transform", jnp.eye, 3).value
        matrix = _product(_Pose(name="style")(w), stored if transform is None else transform)
        # written out: a matrix product may round to bfloat16, and the sine would show it
        x, y, phase = (freqs[:, 0] * matrix[:, :1, k] + freqs[:, 1] * matrix[:, 1:2, k] for k in range(3))
        # a transform that shrinks the image asks for frequencies that the samples cannot hold: those fade out
        excess = jnp.sqrt(x * x + y * y + 1e-20) - signal.cutoff
        amplitude = jnp.clip(1 - excess / (signal.rate / 2 - signal.cutoff), 0.0, 1.0)
        at = jnp.asarray((np.arange(signal.size) + 0.5 - signal.size / 2) / signal.rate, jnp.float32)[:, None]
        x, y, phase, amplitude = (v[:, None, None] for v in (x, y, phase + phases, amplitude))
        waves = jnp.sin(2 * math.pi * (x * at + y * at[:, None] + phase)) * amplitude
        kernel = self.param("kernel", nn.initializers.normal(1.0), (1, 1, signal.channels, signal.channels))
        return conv(waves, kernel / math.sqrt(signal.channels))


class _Pose(nn.Module):
    """From a style code to the matrices `[n, 3, 3]` that undo the rotation and translation it stands for."""

    @nn.compact
    def __call__(self, w: jax.Array) -> jax.Array:
        kernel = self.param("kernel", nn.initializers.zeros, (w.shape[-1], 4))
        bias = self.param("bias", lambda key: jnp.array([1.0, 0.0, 0.0, 0.0]))
        t = w @ (kernel / math.sqrt(w.shape[-1])) + bias
        cos, sin, x, y = (t / jnp.linalg.norm(t[:, :2], axis=1, keepdims=True)).T
        zero, one = jnp.zeros_like(cos), jnp.ones_like(cos)
        turn = jnp.array([[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]])
        shift = jnp.array([[one, zero, -x], [zero, one, -y], [zero, zero, one]])
        return _product(jnp.moveaxis(turn, -1, 0), jnp.moveaxis(shift, -1, 0))


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _disc(key: jax.Array, signal: Signal) -> jax.Array:
    radius, turn = jax.random.uniform(key, (2, signal.channels))
    radius, turn = signal.cutoff * jnp.sqrt(radius), 2 * math.pi * turn
    return jnp.stack([radius * jnp.cos(turn), radius * jnp.sin(turn)], -1)


def _turns(key: jax.Array, signal: Signal) -> jax.Array:
    return jax.random.uniform(key, (signal.channels,), minval=-0.5, maxval=0.5)
