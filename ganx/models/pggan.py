"""PGGAN (Karras et al. 2018): progressively grown, pixel norm before every convolution."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models import layers
from ganx.models.family import Family
from ganx.models.growing import (
    Lod,
    ToImage,
    as_lod,
    context_lod,
    lod_context,
    up_conv3,
    weights,
    widths_of,
)
from ganx.models.growing_discriminator import GrowingDiscriminator
from ganx.models.staged import Context, StagedGenerator, no_more_conditions
from ganx.models.style import checked_label


class _Layer(nn.Module):
    """Pixel norm, convolution, bias, leaky ReLU. `form`: "project" (code to 4 x 4), "up" (nearest first) or "same"."""

    features: int
    form: str
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size = 4 if self.form == "project" else 3
        kernel, bias = weights(self, (size, size, x.shape[-1], self.features))
        x = layers.pixel_norm(x.astype(jnp.float32)).astype(self.dtype)
        form = {"project": layers.project, "up": up_conv3, "same": layers.conv}[self.form]
        return layers.lrelu(form(x, kernel.astype(x.dtype)) + bias.astype(x.dtype), 1.0)


class PgganGenerator(StagedGenerator):
    """Stages `layer0`, `layer1` at 4 x 4, `layer2`, `layer3` at 8 x 8, …, `rgb`.

    A layer's features are what its leaky ReLU gives, before the pixel norm, which opens the next stage; `layerN` is
    `layer{N+1}` of GAN Dissection (Bau et al. 2019). At a level of detail above 0 the layers that have not grown yet
    pass their input on, and the image has R / 2^floor(lod) pixels.

    Fields: `widths` at 4, 8, …, R pixels, image `channels`, `latent` size, `classes` (0 for none), `growing`: whether
    there are image layers below R, compute `dtype` of the convolutions.
    """

    widths: tuple[int, ...]
    channels: int = 3
    latent: int = 512
    classes: int = 0
    growing: bool = True
    dtype: str = "float32"

    @property
    def prior(self) -> str:
        return "normal"

    @property
    def resolution(self) -> int:
        """Height and width of the image at full detail."""
        return 4 * 2 ** (len(self.widths) - 1)

    def setup(self) -> None:
        for block, width in enumerate(self.widths):
            first = _Layer(width, "up" if block else "project", self.dtype)
            setattr(self, f"layer{2 * block}", first)
            setattr(self, f"layer{2 * block + 1}", _Layer(width, "same", self.dtype))
        self.rgb = ToImage(self.widths, self.channels, True, self.growing)

    def stage_names(self) -> tuple[str, ...]:
        return (*(f"layer{i}" for i in range(2 * len(self.widths))), "rgb")

    def latent_shape(self) -> tuple[int, ...]:
        return (self.latent,)

    def begin(
        self, z: jax.Array, label: jax.Array | None = None, lod: float | Lod = 0.0, **conditions: Any
    ) -> tuple[jax.Array, Context]:
        """Conditions: `label` int32 `[n]`, joined to z as one-hot vectors; the level of detail `lod`."""
        no_more_conditions("pggan", "label and lod", conditions)
        label = checked_label(label, self.classes, len(z))
        if label is not None:
            z = jnp.concatenate([z, jax.nn.one_hot(label, self.classes, dtype=z.dtype)], -1)
        return z, lod_context(as_lod(lod, self.resolution, self.growing), len(z))

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        level, fade = context_lod(context)
        if name == "rgb":
            image = self.rgb(features, context.get("before"), fade)
            return image, {k: v for k, v in context.items() if k != "before"}
        index, top = int(name[5:]), len(self.widths) - 1 - level
        if index > 2 * top + 1:
            return features, context
        if index == 2 * top and fade is not None:
            context = {**context, "before": features}
        return getattr(self, name)(features), context

    def style_matrices(self) -> dict[str, jax.Array]:
        kernel = self.variables["params"]["layer0"]["kernel"][:, :, : self.latent]
        return {"layer0": jnp.moveaxis(kernel, 2, -1).reshape(-1, self.latent)}


class PgganDiscriminator(GrowingDiscriminator):
    """The mirror of the generator. Its head gives the score and, with classes, a logit for each (AC-GAN).

    Fields: see `GrowingDiscriminator`.
    """

    def __call__(
        self, x: jax.Array, train: bool = False, label: jax.Array | None = None, lod: float | Lod = 0.0
    ) -> jax.Array:
        """Logits float32 `[n]`, whatever the label, for images `[n, r, r, C]` in [-1, 1], r = R / 2^floor(lod)."""
        checked_label(label, self.classes, len(x))
        return self.outputs(x, lod)[:, 0]

    @nn.compact
    def outputs(self, x: jax.Array, lod: float | Lod = 0.0) -> jax.Array:
        """The score and the class logits, float32 `[n, 1 + classes]`."""
        return self._outputs(x, 1 + self.classes, lod)


def generator(
    resolution: int = 128,
    channels: int = 3,
    latent: int = 512,
    classes: int = 0,
    channel_base: int = 16384,
    channel_max: int = 512,
    dtype: str = "float32",
) -> PgganGenerator:
    """The standard generator: min(channel_base / r, channel_max) channels at r pixels."""
    return PgganGenerator(widths_of(resolution, channel_base, channel_max), channels, latent, classes, True, dtype)


def discriminator(
    resolution: int = 128,
    classes: int = 0,
    channel_base: int = 16384,
    channel_max: int = 512,
    group: int = 4,
    halving: str = "mean_last",
    dtype: str = "float32",
) -> PgganDiscriminator:
    """The standard discriminator; see `PgganDiscriminator`."""
    widths, hidden = widths_of(resolution, channel_base, channel_max), min(channel_base // 2, channel_max)
    return PgganDiscriminator(widths, hidden, classes, group, halving, True, dtype)


FAMILY = Family("pggan", PgganGenerator, PgganDiscriminator, generator, discriminator)
