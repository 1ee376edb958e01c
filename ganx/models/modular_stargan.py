"""StarGAN (Choi et al. 2018): one conditional generator for all attributes, as a staged generator of the image."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models.family import Family
from ganx.models.modular import Attributes, checked_attributes
from ganx.models.modular_parts import Heads, Painter, Stack, Trunk, channels_of, check_size, critic_depth, value_code
from ganx.models.staged import Context, StagedGenerator, no_more_conditions


class StarGanGenerator(StagedGenerator):
    """Stages `encoder` (six residual blocks included) and `decoder`; the latent is an image `[H, W, C]`.

    It is told every attribute's value, those that stay included, repeated over space beside the image.
    """

    attributes: Attributes
    resolution: int = 128
    channels: int = 3
    width: int = 64
    blocks: int = 6
    dtype: str = "float32"

    @property
    def prior(self) -> str:
        """Of the latents: pixels."""
        return "uniform"

    def setup(self) -> None:
        self.encoder = Trunk(self.width, self.blocks, self.dtype)
        self.decoder = Painter(self.channels, self.dtype)

    def stage_names(self) -> tuple[str, ...]:
        return ("encoder", "decoder")

    def latent_shape(self) -> tuple[int, ...]:
        return (self.resolution, self.resolution, self.channels)

    def begin(self, z: jax.Array, target: Any = None, **others: Any) -> tuple[jax.Array, Context]:
        """`target` int32 `[n, attributes]`: the value of every attribute; all 0 by default."""
        no_more_conditions("stargan", "target", others)
        target = jnp.zeros((len(z), len(self.attributes)), jnp.int32) if target is None else target
        codes = [value_code(target[:, i], len(values)) for i, (_, values) in enumerate(self.attributes)]
        plane = jnp.concatenate(codes, -1)[:, None, None]
        plane = jnp.broadcast_to(plane, (*z.shape[:3], plane.shape[-1])).astype(z.dtype)
        return jnp.concatenate([z, plane], -1), {}

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        return getattr(self, name)(features), context


class StarGanDiscriminator(nn.Module):
    """One critic with a patch score and the logits of all attributes side by side."""

    attributes: Attributes
    resolution: int = 128
    width: int = 64
    depth: int = 0
    dtype: str = "float32"

    def setup(self) -> None:
        self.stack = Stack(self.width, critic_depth(self.resolution, self.depth), self.dtype)
        self.heads = Heads(sum(channels_of(len(values)) for _, values in self.attributes))

    def judge(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Scores of patches `[n, h, w]` and logits `[n, all values]` of images `[n, H, W, C]`."""
        return self.heads(self.stack(x))

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Mean score `[n]`."""
        return self.judge(x)[0].mean((1, 2))


def generator(resolution: int = 128, attributes: tuple = (), **fields: Any) -> StarGanGenerator:
    """The published network by default."""
    check_size("stargan", resolution)
    return StarGanGenerator(checked_attributes(attributes), resolution, **fields)


def discriminator(resolution: int = 128, attributes: tuple = (), **fields: Any) -> StarGanDiscriminator:
    """The published network by default: 2 x 2 patches are left."""
    check_size("stargan", resolution)
    return StarGanDiscriminator(checked_attributes(attributes), resolution, **fields)


FAMILY = Family("stargan", StarGanGenerator, StarGanDiscriminator, generator, discriminator)
