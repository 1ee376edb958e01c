"""ResNet-18, -34 and -50 (He et al. 2016; the 50 with its stride in the 3 x 3 convolution), for classifiers."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import unknown
from ganx.models import layers
from ganx.models.correlate import correlate

DEPTHS: dict[int, tuple[int, ...]] = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
WIDTHS = (64, 128, 256, 512)


def blocks(depth: int) -> list[tuple[str, int, int, bool]]:
    """Name, width, stride and whether there is a projection, of each block of a ResNet of that depth."""
    if depth not in DEPTHS:
        raise unknown("ResNet depth", str(depth), map(str, DEPTHS))
    found = []
    for i, count in enumerate(DEPTHS[depth]):
        for j in range(count):
            stride = 2 if i and not j else 1
            found.append((f"layer{i + 1}_{j}", WIDTHS[i], stride, not j and (bool(i) or depth == 50)))
    return found


class _ConvNorm(nn.Module):
    width: int
    kernel: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        size, pad = self.kernel, self.kernel // 2
        kernel = self.param("kernel", nn.initializers.he_normal(), (size, size, x.shape[-1], self.width))
        x = correlate(x, kernel, self.stride, ((pad, pad), (pad, pad)))
        return layers.BatchNorm(name="norm")(x, train)


class _Block(nn.Module):
    """Two 3 x 3 convolutions, or 1 x 1, 3 x 3, 1 x 1 in a bottleneck, around a shortcut."""

    width: int
    stride: int
    project: bool
    bottleneck: bool

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        if self.bottleneck:
            shape = [(self.width, 1, 1), (self.width, 3, self.stride), (4 * self.width, 1, 1)]
        else:
            shape = [(self.width, 3, self.stride), (self.width, 3, 1)]
        y = x
        for i, (width, kernel, stride) in enumerate(shape):
            y = _ConvNorm(width, kernel, stride, name=f"conv{i + 1}")(y, train)
            y = y if i == len(shape) - 1 else nn.relu(y)
        if self.project:
            x = _ConvNorm(shape[-1][0], 1, self.stride, name="shortcut")(x, train)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """Normalised images float32 `[n, H, W, 3]` to "features" `[n, 512]` (2048 at depth 50) and "logits" `[n, classes]`.

    Attributes:
      depth: 18, 34 or 50.
      classes: width of the last layer.
    """

    depth: int = 18
    classes: int = 1000

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> dict[str, jax.Array]:
        x = nn.relu(_ConvNorm(64, 7, 2, name="stem")(x, train))
        pads = ((0, 0), (1, 1), (1, 1), (0, 0))
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), pads)
        for name, width, stride, project in blocks(self.depth):
            x = _Block(width, stride, project, self.depth == 50, name=name)(x, train)
        features = x.mean((1, 2))
        kernel = self.param("fc_kernel", nn.initializers.lecun_normal(), (features.shape[-1], self.classes))
        bias = self.param("fc_bias", nn.initializers.zeros, (self.classes,))
        return {"features": features, "logits": features @ kernel + bias}
