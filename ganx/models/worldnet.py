"""A small network that reads pictures of a world: attributes, numbers, and features for distances in that domain."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models import layers

SIDE = 32
"""Side of the pictures that the network of "FD-faces" reads."""


class WorldNet(nn.Module):
    """Images float32 `[n, R, R, C]` in [-1, 1] to what is in them, by name; R is that of the first call.

    "features" `[n, width]`, after a leaky ReLU; "logits" `[n, sum(choices)]`, those of one attribute after the other;
    "numbers" `[n, numbers]`, estimates of what is continuous, each scaled to [-1, 1].

    Attributes:
      choices: how many values each attribute has.
      numbers: how many continuous quantities there are.
      convolutions: width and stride of each 3 x 3 convolution.
      width: number of features.
    """

    choices: tuple[int, ...]
    numbers: int
    convolutions: tuple[tuple[int, int], ...] = ((24, 1), (32, 2), (64, 2), (48, 2))
    width: int = 64

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        for i, (width, stride) in enumerate(self.convolutions):
            kernel = self.param(f"conv{i}_kernel", nn.initializers.he_normal(), (3, 3, x.shape[-1], width))
            x = nn.leaky_relu(
                layers.conv(x, kernel, stride, 1) + self.param(f"conv{i}_bias", nn.initializers.zeros, (width,))
            )
        features = nn.leaky_relu(self._dense(x.reshape(len(x), -1), "features", self.width))
        return {
            "features": features,
            "logits": self._dense(features, "logits", sum(self.choices)),
            "numbers": self._dense(features, "numbers", self.numbers) if self.numbers else features[:, :0],
        }

    def _dense(self, x: jax.Array, name: str, width: int) -> jax.Array:
        kernel = self.param(f"{name}_kernel", nn.initializers.lecun_normal(), (x.shape[-1], width))
        return jnp.matmul(x, kernel) + self.param(f"{name}_bias", nn.initializers.zeros, (width,))
