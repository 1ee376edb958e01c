"""A small network that reads pictures of a world: features for a Fréchet distance within that domain."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models import layers

SIDE = 32


class WorldNet(nn.Module):
    """Images float32 `[n, 32, 32, 3]` in [-1, 1] to what is in them, by name.

    "features" `[n, 64]`, after a leaky ReLU; "logits" `[n, sum(choices)]`, those of one attribute after the other;
    "numbers" `[n, numbers]`, estimates of what is continuous, each scaled to [-1, 1].

    Attributes:
      choices: how many values each attribute has.
      numbers: how many continuous quantities there are.
    """

    choices: tuple[int, ...]
    numbers: int

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        for i, (width, stride) in enumerate(((24, 1), (32, 2), (64, 2), (48, 2))):
            kernel = self.param(f"conv{i}_kernel", nn.initializers.he_normal(), (3, 3, x.shape[-1], width))
            x = nn.leaky_relu(
                layers.conv(x, kernel, stride, 1) + self.param(f"conv{i}_bias", nn.initializers.zeros, (width,))
            )
        features = nn.leaky_relu(self._dense(x.reshape(len(x), -1), "features", 64))
        return {
            "features": features,
            "logits": self._dense(features, "logits", sum(self.choices)),
            "numbers": self._dense(features, "numbers", self.numbers),
        }

    def _dense(self, x: jax.Array, name: str, width: int) -> jax.Array:
        kernel = self.param(f"{name}_kernel", nn.initializers.lecun_normal(), (x.shape[-1], width))
        return jnp.matmul(x, kernel) + self.param(f"{name}_bias", nn.initializers.zeros, (width,))
