"""VGG-16 (Simonyan & Zisserman 2015, configuration D), for LPIPS and for precision and recall."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models import layers

SIDE, CLASSES, HIDDEN = 224, 1000, 4096
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
TAPS = tuple(f"relu{i + 1}_{len(widths)}" for i, widths in enumerate(STAGES))


def names() -> list[str]:
    """The convolutions in order: `conv1_1`, …, `conv5_3`."""
    return [f"conv{i + 1}_{j + 1}" for i, widths in enumerate(STAGES) for j in range(len(widths))]


class Vgg16(nn.Module):
    """Normalised images float32 `[n, H, W, 3]` to activations by name.

    `relu1_2` `[n, H, W, 64]` to `relu5_3` `[n, H/16, W/16, 512]`; with `head`, for 224-pixel images, "fc7" `[n, 4096]`
    (the second fully connected layer after its ReLU) and "logits" `[n, 1000]` besides.
    """

    head: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        found: dict[str, jax.Array] = {}
        for i, widths in enumerate(STAGES):
            if i:
                x = _halve(x)
            for j, width in enumerate(widths):
                x = nn.relu(self._conv(x, f"conv{i + 1}_{j + 1}", width))
            found[TAPS[i]] = x
        return found | self._dense(_halve(x)) if self.head else found

    def _conv(self, x: jax.Array, name: str, width: int) -> jax.Array:
        kernel = self.param(f"{name}_kernel", nn.initializers.he_normal(), (3, 3, x.shape[-1], width))
        return layers.conv(x, kernel) + self.param(f"{name}_bias", nn.initializers.zeros, (width,))

    def _dense(self, x: jax.Array) -> dict[str, jax.Array]:
        x = x.reshape(len(x), -1)
        for name, width in (("fc6", HIDDEN), ("fc7", HIDDEN), ("logits", CLASSES)):
            kernel = self.param(f"{name}_kernel", nn.initializers.he_normal(), (x.shape[-1], width))
            x = x @ kernel + self.param(f"{name}_bias", nn.initializers.zeros, (width,))
            x = x if name == "logits" else nn.relu(x)
            if name == "fc7":
                second = x
        return {"fc7": second, "logits": x}


def _halve(x: jax.Array) -> jax.Array:
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
