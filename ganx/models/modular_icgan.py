"""IcGAN (Perarnau et al. 2016): a conditional DCGAN and two encoders that find its code and its conditions."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models import layers
from ganx.models.family import Family
from ganx.models.modular import Attributes, checked_attributes
from ganx.models.modular_parts import channels_of, check_size, value_code
from ganx.models.staged import Context, StagedGenerator, no_more_conditions

_init = nn.initializers.normal(0.02)


def condition(attributes: Attributes, values: jax.Array) -> jax.Array:
    """All values int32 `[n, attributes]` as the networks take them: -1 and 1, float32 `[n, k]`."""
    codes = [value_code(values[:, i], len(names)) for i, (_, names) in enumerate(attributes)]
    return 2.0 * jnp.concatenate(codes, -1) - 1.0


class _Decoder(nn.Module):
    """(z, y) to an image: a 4 x 4 map, doubled by transposed conv4, batch norm and ReLU, tanh at the end."""

    resolution: int
    channels: int
    width: int

    @nn.compact
    def __call__(self, code: jax.Array, train: bool) -> jax.Array:
        doublings = int(math.log2(self.resolution // 4))
        features = self.width << (doublings - 1)
        kernel = self.param("kernel", _init, (4, 4, code.shape[-1], features))
        x = nn.relu(layers.BatchNorm(name="norm")(layers.project(code, kernel), train))
        for i in range(doublings - 1):
            features //= 2
            kernel = self.param(f"kernel{i}", _init, (4, 4, x.shape[-1], features))
            x = nn.relu(layers.BatchNorm(name=f"norm{i}")(layers.up_conv(x, kernel), train))
        kernel = self.param("rgb", _init, (4, 4, x.shape[-1], self.channels))
        return jnp.tanh(layers.up_conv(x, kernel))


class _Encoder(nn.Module):
    """Image to numbers: four conv5 with stride 2, a dense layer, batch norm and ReLU behind each, a linear end."""

    outputs: int
    width: int
    hidden: int = 0  # of the dense layer; 0: as wide as its input

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        for i in range(4):
            kernel = self.param(f"kernel{i}", _init, (5, 5, x.shape[-1], self.width << i))
            x = nn.relu(layers.BatchNorm(name=f"norm{i}")(layers.conv(x, kernel, 2, 2), train))
        x = x.reshape(len(x), -1)
        x = nn.Dense(self.hidden or x.shape[-1], use_bias=False, name="dense")(x)
        x = nn.relu(layers.BatchNorm(name="norm")(x[:, None, None], train))[:, 0, 0]
        return nn.Dense(self.outputs, name="out")(x)


class IcGanGenerator(StagedGenerator):
    """Stages `encoder` (of z) and `decoder`; the latent is an image `[H, W, C]`.

    `labels` is the encoder of y, for images whose values nobody knows.
    """

    attributes: Attributes
    resolution: int = 64
    channels: int = 3
    width: int = 64
    code: int = 100

    @property
    def prior(self) -> str:
        """Of the latents: pixels."""
        return "uniform"

    def setup(self) -> None:
        outputs = sum(channels_of(len(values)) for _, values in self.attributes)
        self.encoder = _Encoder(self.code, self.width // 2)
        self.labels = _Encoder(outputs, self.width // 2, 8 * self.width)
        self.decoder = _Decoder(self.resolution, self.channels, self.width)

    def stage_names(self) -> tuple[str, ...]:
        return ("encoder", "decoder")

    def latent_shape(self) -> tuple[int, ...]:
        return (self.resolution, self.resolution, self.channels)

    def begin(self, z: jax.Array, target: Any = None, **others: Any) -> tuple[jax.Array, Context]:
        """`target` int32 `[n, attributes]`: the value of every attribute; by default those that `labels` sees."""
        no_more_conditions("icgan", "target", others)
        return z, {"y": self.named(z) if target is None else condition(self.attributes, target)}

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        if name == "encoder":
            return self.encoder(features, train), context
        return self.draw(features, context["y"], train), context

    def draw(self, z: jax.Array, y: jax.Array, train: bool = False) -> jax.Array:
        """Images of codes `[n, code]` and conditions `[n, k]` in {-1, 1}."""
        return self.decoder(jnp.concatenate([z, y], -1), train)

    def coded(self, x: jax.Array, train: bool = False) -> jax.Array:
        """E_z: codes of images."""
        return self.encoder(x, train)

    def named(self, x: jax.Array, train: bool = False) -> jax.Array:
        """E_y: conditions of images."""
        return self.labels(x, train)


class IcGanDiscriminator(nn.Module):
    """Conv4 of stride 2 on the image, the condition beside its result, then more with batch norm, then one logit."""

    attributes: Attributes
    resolution: int = 64
    width: int = 64

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False, y: Any = None) -> jax.Array:
        """Logits `[n]` for images and conditions `[n, k]`; the first value of each attribute where `y` is None."""
        if y is None:
            y = condition(self.attributes, jnp.zeros((len(x), len(self.attributes)), jnp.int32))
        x = nn.leaky_relu(layers.down_conv(x, self.param("kernel0", _init, (4, 4, x.shape[-1], self.width))), 0.2)
        x = jnp.concatenate([x, jnp.broadcast_to(y[:, None, None], (*x.shape[:3], y.shape[-1]))], -1)
        for i in range(1, int(math.log2(self.resolution // 4))):
            kernel = self.param(f"kernel{i}", _init, (4, 4, x.shape[-1], self.width << i))
            x = nn.leaky_relu(layers.BatchNorm(name=f"norm{i}")(layers.down_conv(x, kernel), train), 0.2)
        kernel = self.param("kernel", _init, (4, 4, x.shape[-1], 1))
        return layers.conv(x, kernel, 1, 0)[:, 0, 0, 0]


def generator(resolution: int = 64, attributes: tuple = (), **fields: Any) -> IcGanGenerator:
    """The published network by default."""
    check_size("icgan", resolution)
    return IcGanGenerator(checked_attributes(attributes), resolution, **fields)


def discriminator(resolution: int = 64, attributes: tuple = (), **fields: Any) -> IcGanDiscriminator:
    """The published network by default."""
    check_size("icgan", resolution)
    return IcGanDiscriminator(checked_attributes(attributes), resolution, **fields)


FAMILY = Family("icgan", IcGanGenerator, IcGanDiscriminator, generator, discriminator)
