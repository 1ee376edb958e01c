"""The discriminator of StyleGAN2 (Karras et al. 2020) and StyleGAN2-ADA (Karras et al. 2020b)."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models.layers import fir_down, minibatch_stddev
from ganx.models.style import Conv, Dense, Mapping, checked_label
from ganx.models.stylegan2_layers import activated, channels_at, check, dtype_at

CONDITIONINGS = ("projection", "pick")


class _Block(nn.Module):
    """Two convolutions, the second halving the size; with `residual` beside a filtered 1 x 1 one."""

    features: int
    residual: bool
    clamp: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = activated(Conv(x.shape[-1], name="conv0")(x), self.clamp)
        y = activated(Conv(self.features, down=True, name="conv1")(y), self.clamp)
        if not self.residual:
            return y
        return (y + Conv(self.features, kernel=1, bias=False, name="skip")(fir_down(x))) * math.sqrt(0.5)


class _Head(nn.Module):
    """From 4 x 4 maps to `[n, outputs]`."""

    outputs: int
    group: int
    group_channels: int
    clamp: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        if self.group_channels:
            x = _with_stddev(x, self.group, self.group_channels)
        x = activated(Conv(width, name="conv")(x), self.clamp)
        x = activated(Dense(width, name="fc")(x.reshape(len(x), -1)), 0.0)
        return Dense(self.outputs, name="out")(x)


class StyleGan2Discriminator(nn.Module):
    """Logits for images, and for images with labels if `classes` is set.

    Parameters: `fromrgb` (at the top; "skip" has a `fromrgb{r}` for every lower resolution), `b{r}` with `conv0`,
    `conv1` and, in "resnet", `skip`, then `b4` with `conv`, `fc` and `out`; `cmap` with classes.

    Fields:
      architecture: "resnet", "skip" (the image joins in at every resolution) or "orig" (neither).
      channel_base, channel_max, widths: as for the generator.
      group: samples in a minibatch-stddev group, 0 for the whole batch; `group_channels` is how many channels of
        deviation are appended, 0 for none.
      conv_clamp: what convolutions are clipped to, 0 for never.
      classes: 0 for none; `conditioning` is "projection" (Karras et al. 2020b: the output projected on the class mapped
        by `cmap_layers` layers to `cmap` numbers, 0 for as many as channels at 4 pixels, with `cmap_lr_mul`) or
        "pick" (StyleGAN, StyleGAN2: one logit a class).
      half_res: how many of the highest resolutions compute in `half_dtype`, the others in `dtype`.
    """

    resolution: int
    channel_base: int = 32768
    channel_max: int = 512
    group: int = 4
    dtype: str = "float32"
    architecture: str = "resnet"
    group_channels: int = 1
    conv_clamp: float = 0.0
    classes: int = 0
    conditioning: str = "projection"
    cmap: int = 0
    cmap_layers: int = 8
    cmap_lr_mul: float = 0.01
    half_res: int = 0
    half_dtype: str = "bfloat16"
    widths: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False, label: jax.Array | None = None) -> jax.Array:
        """Logits float32 `[n]` for images `[n, H, W, C]` in [-1, 1] and, with classes, labels int32 `[n]`."""
        label = checked_label(label, self.classes, len(x))
        x = self._maps(x.astype(jnp.float32))
        x = _Head(self._outputs(), self.group, self.group_channels, self.conv_clamp, name="b4")(x)
        if label is None:
            return x[:, 0]
        if self.conditioning == "pick":
            return jnp.take_along_axis(x, label[:, None], 1)[:, 0]
        cmap = Mapping(x.shape[-1], self.cmap_layers, classes=self.classes, lr_mul=self.cmap_lr_mul, name="cmap")
        return (x * cmap(None, label)).sum(1) / math.sqrt(x.shape[-1])

    def _maps(self, image: jax.Array) -> jax.Array:
        """The maps at 4 pixels, float32."""
        resolution = self.resolution
        x = self._from_rgb(image, resolution, "fromrgb")
        while resolution > 4:
            width, residual = self._width(resolution // 2), self.architecture == "resnet"
            block = _Block(width, residual, self.conv_clamp, name=f"b{resolution}")
            x = block(x.astype(self._dtype(resolution)))
            resolution //= 2
            if self.architecture == "skip":
                image = fir_down(image)
                x = x + self._from_rgb(image, resolution, f"fromrgb{resolution}").astype(x.dtype)
        return x.astype(jnp.float32)

    def _from_rgb(self, image: jax.Array, resolution: int, name: str) -> jax.Array:
        clamp = 0.0 if resolution == 4 else self.conv_clamp  # as in the authors' code
        x = Conv(self._width(resolution), kernel=1, name=name)(image.astype(self._dtype(resolution)))
        return activated(x, clamp)

    def _outputs(self) -> int:
        if not self.classes:
            return 1
        return self.classes if self.conditioning == "pick" else self.cmap or self._width(4)

    def _width(self, resolution: int) -> int:
        return channels_at(resolution, self.channel_base, self.channel_max, self.widths)

    def _dtype(self, resolution: int) -> str:
        if resolution == 4:
            return "float32"
        return dtype_at(resolution, self.resolution, self.dtype, self.half_res, self.half_dtype)


def _with_stddev(x: jax.Array, group: int, channels: int) -> jax.Array:
    group = min(group or len(x), len(x))
    if len(x) % group:
        raise GanxError(f"the discriminator compares samples in groups of {group}, which do not divide {len(x)} images")
    if x.shape[-1] % channels:
        raise GanxError(f"group_channels={channels} does not divide the {x.shape[-1]} channels at 4 pixels")
    return minibatch_stddev(x, group, channels)


def discriminator(resolution: int = 64, **fields: Any) -> StyleGan2Discriminator:
    """A discriminator; `fields` as in `StyleGan2Discriminator`."""
    module = StyleGan2Discriminator(resolution, **fields)
    base, limit = module.channel_base, module.channel_max
    check(resolution, module.architecture, module.half_dtype, module.widths, base, limit)
    if module.conditioning not in CONDITIONINGS:
        raise GanxError(f"conditioning is one of {', '.join(CONDITIONINGS)}, not {module.conditioning!r}")
    return module
