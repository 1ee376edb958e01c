"""UPerNet with a ResNet-50 encoder: Unified Perceptual Parsing (Xiao et al., ECCV 2018), for inference.

Every resize is bilinear with half-pixel centres and without antialiasing, as the published weights expect.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ganx.models import layers

BLOCKS = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)
POOLS = (1, 2, 3, 6)
WIDTH = 512  # of the pyramid


def resize(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """`[n, h, w, c]` to `[n, *size, c]`."""
    if x.shape[1:3] == size:
        return x
    return jax.image.resize(x, (len(x), *size, x.shape[-1]), "linear", antialias=False, precision="highest")


def region_weights(source: int, bins: int) -> np.ndarray:
    """Precise RoI pooling of a whole axis, as a matrix float64 `[bins, source]`.

    The axis is read as a continuous function, linear between samples at whole numbers and 0 beyond them; a bin holds
    its integral over [b W/s, (b + 1) W/s] divided by the bin's length.
    """
    edges = np.arange(bins + 1)[:, None] * source / bins - np.arange(source)
    low, high = (edges.clip(-1, 1) + 1) ** 2 / 2, 1 - (1 - edges.clip(-1, 1)) ** 2 / 2
    integral = np.where(edges <= 0, low, high)  # of the triangle max(0, 1 - |t|)
    return np.diff(integral, axis=0) * bins / source


def region_pool(x: jax.Array, bins: int) -> jax.Array:
    """`[n, h, w, c]` to `[n, bins, bins, c]`."""
    rows, columns = (region_weights(n, bins).astype(np.float32) for n in x.shape[1:3])
    return jnp.einsum("ah,nhwc,bw->nabc", rows, x, columns, precision="highest")


class Cbr(nn.Module):
    """Convolution without bias, stored batch normalisation and, if `relu`, ReLU."""

    features: int
    kernel: int = 3
    stride: int = 1
    relu: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        x = layers.conv(x, kernel.astype(x.dtype), self.stride, self.kernel // 2)
        x = layers.BatchNorm(name="norm")(x, False)
        return nn.relu(x) if self.relu else x


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (where the stride is), 1 x 1 to four times the width, added to the shortcut."""

    width: int
    stride: int
    project: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = Cbr(self.width, 1, name="conv1")(x)
        y = Cbr(self.width, 3, self.stride, name="conv2")(y)
        y = Cbr(4 * self.width, 1, relu=False, name="conv3")(y)
        if self.project:
            x = Cbr(4 * self.width, 1, self.stride, relu=False, name="downsample")(x)
        return nn.relu(x + y)


class Encoder(nn.Module):
    """ResNet-50 with a stem of three 3 x 3 convolutions: maps C2 to C5, at 1/4, 1/8, 1/16 and 1/32 of the image."""

    @nn.compact
    def __call__(self, x: jax.Array) -> list[jax.Array]:
        for i, (features, stride) in enumerate([(64, 2), (64, 1), (128, 1)]):
            x = Cbr(features, 3, stride, name=f"stem{i + 1}")(x)
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        maps = []
        for stage, (blocks, width) in enumerate(zip(BLOCKS, WIDTHS, strict=True)):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                x = Bottleneck(width, stride, not block, name=f"layer{stage + 1}_{block}")(x)
            maps.append(x)
        return maps


class Classifier(nn.Module):
    """1 x 1 convolution with bias."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (1, 1, x.shape[-1], self.features))
        return layers.conv(x, kernel.astype(x.dtype)) + self.param("bias", nn.initializers.zeros, (self.features,))


class Decoder(nn.Module):
    """Pyramid pooling, feature pyramid and the heads named in `channels`, `(name, channels)` each."""

    channels: tuple[tuple[str, int], ...]

    @nn.compact
    def __call__(self, maps: Sequence[jax.Array]) -> dict[str, jax.Array]:
        """Logits by head: `scene` `[n, c]`, the others at a quarter of the image."""
        fused, finest, top = self._pyramid(maps)
        source = {"scene": top, "object": fused, "part": fused, "material": finest}
        logits = {}
        for name, count in self.channels:
            x = Cbr(WIDTH, name=f"{name}_conv")(source[name])
            if name == "scene":
                x = x.mean((1, 2), keepdims=True)
            x = Classifier(count, name=f"{name}_out")(x)
            logits[name] = x[:, 0, 0] if name == "scene" else x
        return logits

    def _pyramid(self, maps: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The fusion of all levels, the finest level, and the coarsest."""
        last = maps[-1]
        size = last.shape[1:3]
        pooled = [Cbr(WIDTH, 1, name=f"ppm{i}")(resize(region_pool(last, s), size)) for i, s in enumerate(POOLS)]
        top = Cbr(WIDTH, name="ppm_last")(jnp.concatenate([last, *pooled], -1))
        x, levels = top, [top]
        for i in (2, 1, 0):
            lateral = Cbr(WIDTH, 1, name=f"fpn_in{i}")(maps[i])
            x = lateral + resize(x, lateral.shape[1:3])
            levels.insert(0, Cbr(WIDTH, name=f"fpn_out{i}")(x))
        size = levels[0].shape[1:3]
        fused = Cbr(WIDTH, name="fusion")(jnp.concatenate([resize(level, size) for level in levels], -1))
        return fused, levels[0], top


class UPerNet(nn.Module):
    """Images prepared as in `ganx.segmenters.upernet` to logits by head."""

    channels: tuple[tuple[str, int], ...] = (("scene", 365), ("object", 336), ("part", 427), ("material", 26))

    def setup(self) -> None:
        self.encoder = Encoder()
        self.decoder = Decoder(self.channels)

    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        return self.decoder(self.encoder(x))

    def features(self, x: jax.Array) -> list[jax.Array]:
        """The encoder's maps C2 to C5."""
        return self.encoder(x)
