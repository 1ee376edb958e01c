"""LPIPS (Zhang et al. 2018), version 0.1 on VGG-16: a learned perceptual distance between images."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models.vgg import STAGES, TAPS, Vgg16

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10


class Lpips(nn.Module):
    """Two batches of images float32 `[n, H, W, 3]` in [-1, 1] to their distances, float32 `[n]`.

    At five depths channels are scaled to unit length, squared differences weighted by channel, averaged over the map,
    and summed. `smooth` takes the length as sqrt(Σx² + ε²), whose gradient is finite where all channels are 0: for use
    in a loss. Without it the number is that of the authors' code.
    """

    smooth: bool = False

    @nn.compact
    def __call__(self, a: jax.Array, b: jax.Array) -> jax.Array:
        both = (jnp.concatenate([a, b]) - jnp.asarray(SHIFT)) / jnp.asarray(SCALE)
        found = Vgg16(name="vgg")(both)
        total = jnp.zeros(len(a))
        for depth, (tap, widths) in enumerate(zip(TAPS, STAGES, strict=True)):
            weights = self.param(f"lin{depth}", nn.initializers.constant(1 / widths[-1]), (widths[-1],))
            x = _unit(found[tap], self.smooth)
            total += jnp.square(x[: len(a)] - x[len(a) :]).mean((1, 2)) @ weights
        return total


def _unit(x: jax.Array, smooth: bool) -> jax.Array:
    square = jnp.square(x).sum(-1, keepdims=True)
    return x * jax.lax.rsqrt(square + _EPSILON) if smooth else x / (jnp.sqrt(square) + _EPSILON)
