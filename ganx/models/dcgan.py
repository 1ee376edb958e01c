"""DCGAN (Radford et al. 2016), generalised to any stack of transposed and plain convolutions.

The standard 32, 64 and 128 pixel networks come from `generator` and `discriminator`; imported ones may have
other kernels, norms and activations, block by block.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models import layers
from ganx.models.family import Family
from ganx.models.staged import Context, StagedGenerator, no_more_conditions

_init = nn.initializers.normal(0.02)


def _norm_scale(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    return 1.0 + 0.02 * jax.random.normal(key, shape, dtype)


class Block(NamedTuple):
    """One stage. `kind`: "project" (latent to a k x k map), "up" (transposed 4 x 4, stride 2) or "conv" (same size)."""

    kind: str
    features: int
    kernel: int
    bias: bool
    norm: bool
    activation: str


ACTIVATIONS = {
    "relu": nn.relu,
    "lrelu": lambda x: nn.leaky_relu(x, 0.2),
    "tanh": jnp.tanh,
    "none": lambda x: x,
}


class _Stage(nn.Module):
    block: Block
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        block = self.block
        kernel = self.param("kernel", _init, (block.kernel, block.kernel, x.shape[-1], block.features))
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        form = {"project": layers.project, "up": layers.up_conv, "conv": layers.conv}[block.kind]
        x = form(x, kernel)
        if block.bias:
            x = x + self.param("bias", nn.initializers.zeros, (block.features,)).astype(x.dtype)
        if block.norm:
            x = layers.BatchNorm(name="norm")(x, train)
        if block.activation == "tanh":  # the image itself is float32, whatever the convolutions computed in
            x = x.astype(jnp.float32)
        return ACTIVATIONS[block.activation](x)


class DcganGenerator(StagedGenerator):
    """Stages `s0`, `s1`, …, `rgb`, one a block; needs nothing between stages but the features.

    Fields: `blocks` (see `Block`), `latent` size, `prior` "normal" or "uniform", compute `dtype`.
    """

    blocks: tuple[Block, ...]
    latent: int = 100
    prior: str = "normal"
    dtype: str = "float32"

    def setup(self) -> None:
        for name, block in zip(self.stage_names(), self.blocks, strict=True):
            setattr(self, name, _Stage(Block(*block), self.dtype))

    def stage_names(self) -> tuple[str, ...]:
        return (*(f"s{i}" for i in range(len(self.blocks) - 1)), "rgb")

    def latent_shape(self) -> tuple[int, ...]:
        return (self.latent,)

    def begin(self, z: jax.Array, **conditions: Any) -> tuple[jax.Array, Context]:
        no_more_conditions("dcgan", "nothing", conditions)
        return z, {}

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        return getattr(self, name)(features, train), context

    def style_matrices(self) -> dict[str, jax.Array]:
        kernel = self.variables["params"]["s0"]["kernel"]
        return {"s0": jnp.moveaxis(kernel, 2, -1).reshape(-1, self.latent)}


class DcganDiscriminator(nn.Module):
    """4 x 4 stride-2 convolutions with leaky ReLU, then one linear logit over the map that is left.

    Fields: `widths` of the convolutions, `bias` and `norm` for each, compute `dtype`.
    """

    widths: tuple[int, ...]
    bias: tuple[bool, ...]
    norm: tuple[bool, ...]
    head_bias: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits float32 `[n]` for images `[n, H, W, C]` in [-1, 1]."""
        for i, (width, bias, norm) in enumerate(zip(self.widths, self.bias, self.norm, strict=True)):
            x = _Down(width, bias, norm, self.dtype, name=f"conv{i}")(x, train)
        kernel = self.param("kernel", _init, (*x.shape[1:], 1))
        logits = x.reshape(len(x), -1).astype(jnp.float32) @ kernel.reshape(-1, 1)
        if self.head_bias:
            logits = logits + self.param("bias", nn.initializers.zeros, (1,))
        return logits[:, 0]


class _Down(nn.Module):
    width: int
    bias: bool
    norm: bool
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        kernel = self.param("kernel", _init, (4, 4, x.shape[-1], self.width)).astype(self.dtype)
        x = layers.down_conv(x.astype(self.dtype), kernel)
        if self.bias:
            x = x + self.param("bias", nn.initializers.zeros, (self.width,)).astype(x.dtype)
        if self.norm:
            x = layers.BatchNorm(name="norm")(x, train)
        return nn.leaky_relu(x, 0.2)


def _depth(resolution: int) -> int:
    depth = int(math.log2(resolution)) - 2
    if resolution < 8 or resolution != 4 * 2**depth:
        raise GanxError(f"a DCGAN's resolution is a power of two from 8 up, not {resolution}; ?size=N resizes a source")
    return depth


def generator(
    resolution: int = 64,
    channels: int = 3,
    width: int = 64,
    latent: int = 100,
    prior: str = "normal",
    dtype: str = "float32",
    width_max: int = 0,
    extra: int = 0,
    width_first: int = 0,
) -> DcganGenerator:
    """The standard generator: `width` channels before the image, doubling with every halving of the size.

    `width_max` bounds the doubling, and `width_first` is the width of the first map alone, unless they are 0. `extra`
    puts so many 3 x 3 convolutions before the image, as in the DCGAN of Arjovsky et al. 2017.
    """
    depth = _depth(resolution)
    widths = [min(width * 2**i, width_max or width * 2**i) for i in reversed(range(depth))]
    blocks = [Block("project", width_first or widths[0], 4, False, True, "relu")]
    blocks += [Block("up", wide, 4, False, True, "relu") for wide in widths[1:]]
    blocks += [Block("conv", width, 3, False, True, "relu")] * extra
    blocks += [Block("up", channels, 4, False, False, "tanh")]
    return DcganGenerator(tuple(blocks), latent, prior, dtype)


def discriminator(
    resolution: int = 64, width: int = 64, norm: bool = True, dtype: str = "float32"
) -> DcganDiscriminator:
    """The standard discriminator. `norm=False` leaves out the batch norms (what gradient penalties assume)."""
    depth = _depth(resolution)
    norms = tuple(norm and i > 0 for i in range(depth))
    widths = tuple(width * 2**i for i in range(depth))
    return DcganDiscriminator(widths, tuple(not norm for _ in norms), norms, False, dtype)


FAMILY = Family("dcgan", DcganGenerator, DcganDiscriminator, generator, discriminator)
