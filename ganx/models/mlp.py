"""Multi-layer perceptrons: for points in the plane and for small images.

The toy networks of E-GAN (Wang et al. 2019, as in the authors' Theano release) come from `generator` and
`discriminator`; imported ones may have other widths and activations. A point is a picture of one pixel: `[n, 1, 1, 2]`.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models import layers
from ganx.models.dcgan import ACTIVATIONS
from ganx.models.family import Family
from ganx.models.staged import Context, StagedGenerator, no_more_conditions


class _Dense(nn.Module):
    """A product, a bias or a batch norm, an activation."""

    features: int
    activation: str
    std: float
    dtype: str
    norm: bool = False
    bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        kernel = self.param("kernel", nn.initializers.normal(self.std), (x.shape[-1], self.features))
        x = x.astype(self.dtype) @ kernel.astype(self.dtype)
        if self.bias:
            x = x + self.param("bias", nn.initializers.zeros, (self.features,)).astype(x.dtype)
        if self.norm:
            x = layers.BatchNorm(name="norm")(x, train)
        return ACTIVATIONS[self.activation](x)


class MlpGenerator(StagedGenerator):
    """Stages `fc0`, `fc1`, …, `out`; features are maps of one pixel, `[n, 1, 1, width]`, the last one is the image.

    Fields: `widths` of the hidden layers, `shape` (H, W, C) of the image, `latent` size, `prior` "normal" or "uniform",
    `hidden` and `last` activations (see `ganx.models.dcgan.ACTIVATIONS`), `std` of initial weights, compute `dtype`.
    """

    widths: tuple[int, ...]
    shape: tuple[int, int, int]
    latent: int = 2
    prior: str = "uniform"
    hidden: str = "relu"
    last: str = "none"
    std: float = 0.02
    dtype: str = "float32"

    def setup(self) -> None:
        sizes = (*self.widths, math.prod(self.shape))
        activations = (*(self.hidden for _ in self.widths), self.last)
        for name, size, activation in zip(self.stage_names(), sizes, activations, strict=True):
            setattr(self, name, _Dense(size, activation, self.std, self.dtype))

    def stage_names(self) -> tuple[str, ...]:
        return (*(f"fc{i}" for i in range(len(self.widths))), "out")

    def latent_shape(self) -> tuple[int, ...]:
        return (self.latent,)

    def begin(self, z: jax.Array, **conditions: Any) -> tuple[jax.Array, Context]:
        no_more_conditions("mlp", "nothing", conditions)
        return z, {}

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        flat = features.reshape(len(features), -1)
        x = getattr(self, name)(flat, train)
        if name == "out":
            return x.astype(jnp.promote_types(x.dtype, jnp.float32)).reshape(-1, *self.shape), context
        return x[:, None, None], context

    def style_matrices(self) -> dict[str, jax.Array]:
        first = self.stage_names()[0]
        return {first: self.variables["params"][first]["kernel"].T}


class MlpDiscriminator(nn.Module):
    """Hidden layers, then one linear logit.

    Fields: `widths` of the hidden layers, `norm` for each (a layer with a batch norm has no bias), `hidden` activation,
    `std` of the initial weights, compute `dtype`.
    """

    widths: tuple[int, ...]
    norm: tuple[bool, ...]
    hidden: str = "relu"
    std: float = 0.02
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits, float32 or finer, `[n]` for images `[n, H, W, C]` or points `[n, 2]`."""
        x = x.reshape(len(x), -1)
        for i, (width, norm) in enumerate(zip(self.widths, self.norm, strict=True)):
            x = _Dense(width, self.hidden, self.std, self.dtype, norm, not norm, name=f"fc{i}")(x, train)
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        return _Dense(1, "none", self.std, str(x.dtype), name="out")(x, train)[:, 0]


def generator(
    resolution: int = 1,
    channels: int = 2,
    width: int = 512,
    depth: int = 3,
    latent: int = 2,
    prior: str = "uniform",
    std: float = 0.02,
    dtype: str = "float32",
) -> MlpGenerator:
    """The toy generator: `depth` hidden layers of `width`; images end in a tanh, points (one pixel) do not.

    `std` goes with a width of 512; scale it by sqrt(512 / width) for the same gain (Theano release: 0.02).
    """
    last = "none" if resolution == 1 else "tanh"
    return MlpGenerator((width,) * depth, (resolution, resolution, channels), latent, prior, "relu", last, std, dtype)


def discriminator(
    width: int = 512, depth: int = 3, norm: bool = True, std: float = 0.02, dtype: str = "float32"
) -> MlpDiscriminator:
    """The toy discriminator: `depth` hidden layers of `width`, the second with a batch norm unless `norm` is False."""
    norms = tuple(norm and i == 1 for i in range(depth))
    return MlpDiscriminator((width,) * depth, norms, "relu", std, dtype)


FAMILY = Family("mlp", MlpGenerator, MlpDiscriminator, generator, discriminator)
