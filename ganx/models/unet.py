"""A small U-Net: an image in, a score for every class at every pixel out (Ronneberger et al. 2015)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models import layers


class UNet(nn.Module):
    """Images float32 `[n, H, W, C]` in [-1, 1] to logits `[n, H, W, classes]`.

    Two 3 x 3 convolutions with ReLU a level, means of 2 x 2 downwards, repeated pixels and a skip upwards; borders are
    padded, so that the output has the image's size. Height and width are multiples of `multiple`.

    Attributes:
      classes: how many there are.
      widths: channels of each level, from the image's size down.
    """

    classes: int
    widths: tuple[int, ...] = (16, 32, 64)

    @property
    def multiple(self) -> int:
        """What the sides of its images are multiples of."""
        return 2 ** (len(self.widths) - 1)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kept = []
        for level, width in enumerate(self.widths):
            if level:
                n, h, w, c = x.shape
                x = x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))
            x = self._pair(x, f"down{level}", width)
            kept.append(x)
        for level in reversed(range(len(self.widths) - 1)):
            x = jnp.concatenate([x.repeat(2, 1).repeat(2, 2), kept[level]], -1)
            x = self._pair(x, f"up{level}", self.widths[level])
        return self._conv(x, "logits", self.classes, 1)

    def _pair(self, x: jax.Array, name: str, width: int) -> jax.Array:
        return nn.relu(self._conv(nn.relu(self._conv(x, f"{name}a", width)), f"{name}b", width))

    def _conv(self, x: jax.Array, name: str, width: int, side: int = 3) -> jax.Array:
        kernel = self.param(f"{name}_kernel", nn.initializers.he_normal(), (side, side, x.shape[-1], width))
        return layers.conv(x, kernel) + self.param(f"{name}_bias", nn.initializers.zeros, (width,))
