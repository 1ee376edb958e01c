"""CycleGAN (Zhu et al. 2017), one pair of networks for each pair of values, chained for several attributes."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models import layers
from ganx.models.family import Family
from ganx.models.modular import Attributes, checked_attributes
from ganx.models.modular_parts import InstanceNorm, check_size, uniform_fan
from ganx.models.staged import Context, StagedGenerator, no_more_conditions

_init = nn.initializers.normal(0.02)


def _reflected(x: jax.Array, pad: int) -> jax.Array:
    return jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect")


class _Conv(nn.Module):
    """A convolution with a bias; `reflect` pads by mirroring, `up` is `ConvTranspose2d(3, 2, 1, output_padding=1)`."""

    features: int
    kernel: int
    stride: int = 1
    reflect: bool = False
    up: bool = False
    padding: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        fan = self.kernel**2 * (self.features if self.up else x.shape[-1])
        kernel = self.param("kernel", _init, (self.kernel, self.kernel, x.shape[-1], self.features))
        bias = self.param("bias", uniform_fan(fan), (self.features,))
        if self.up:  # a 4 x 4 kernel whose first row and column are nothing
            return layers.up_conv(x, jnp.pad(kernel, ((1, 0), (1, 0), (0, 0), (0, 0)))) + bias
        x = _reflected(x, self.kernel // 2) if self.reflect else x
        return layers.conv(x, kernel, self.stride, 0 if self.reflect else self.padding) + bias


class _Translator(nn.Module):
    """One direction: conv7, two conv3 with stride 2, residual blocks, two transposed conv3, conv7, tanh."""

    channels: int
    width: int
    blocks: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        norm = lambda name, y: nn.relu(InstanceNorm(plain=True, name=name)(y))  # noqa: E731
        x = norm("norm0", _Conv(self.width, 7, reflect=True, name="conv0")(x))
        for i in (1, 2):
            x = norm(f"norm{i}", _Conv(self.width << i, 3, 2, name=f"conv{i}")(x))
        for i in range(self.blocks):
            y = norm(f"norm{i}a", _Conv(4 * self.width, 3, reflect=True, name=f"block{i}a")(x))
            y = _Conv(4 * self.width, 3, reflect=True, name=f"block{i}b")(y)
            x = x + InstanceNorm(plain=True, name=f"norm{i}b")(y)
        for i in (1, 0):
            x = norm(f"up_norm{i}", _Conv(self.width << i, 3, up=True, name=f"up{i}")(x))
        return jnp.tanh(_Conv(self.channels, 7, reflect=True, name="rgb")(x))


class _Patches(nn.Module):
    """The 70 x 70 patch critic: conv4 of stride 2 three times, then of stride 1 twice; leaky ReLU of 0.2."""

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, stride in enumerate((2, 2, 2, 1)):
            x = _Conv(self.width << i, 4, stride, name=f"conv{i}")(x)
            x = InstanceNorm(plain=True, name=f"norm{i}")(x) if i else x
            x = nn.leaky_relu(x, 0.2)
        return _Conv(1, 4, name="src")(x)[..., 0]


def edges(attributes: Attributes) -> tuple[tuple[str, str, int, int], ...]:
    """Every direction as (name, attribute, from, to), attribute by attribute."""
    return tuple(
        (f"{name}_{a}_{b}", name, a, b)
        for name, values in attributes
        for a in range(len(values))
        for b in range(len(values))
        if a != b
    )


class CycleGanGenerator(StagedGenerator):
    """A stage for each direction of each pair of values, such as `smile_0_1`; the latent is an image `[H, W, C]`."""

    attributes: Attributes
    resolution: int = 128
    channels: int = 3
    width: int = 64
    blocks: int = 6

    @property
    def prior(self) -> str:
        """Of the latents: pixels."""
        return "uniform"

    def setup(self) -> None:
        for name, *_ in edges(self.attributes):
            setattr(self, name, _Translator(self.channels, self.width, self.blocks))

    def stage_names(self) -> tuple[str, ...]:
        return tuple(name for name, *_ in edges(self.attributes))

    def latent_shape(self) -> tuple[int, ...]:
        return (self.resolution, self.resolution, self.channels)

    def begin(self, z: jax.Array, now: Any = None, target: Any = None, **others: Any) -> tuple[jax.Array, Context]:
        """`now` and `target`, int32 `[n, attributes]`: the values that there are and those wanted; None changes
        nothing."""
        no_more_conditions("cyclegan", "now and target", others)
        return z, {} if now is None or target is None else {"now": now, "target": target}

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        _, attribute, a, b = next(edge for edge in edges(self.attributes) if edge[0] == name)
        if "now" not in context:
            if self.is_initializing():
                self.direct(name, features)
            return features, context
        at = [known for known, _ in self.attributes].index(attribute)
        taken = (context["now"][:, at] == a) & (context["target"][:, at] == b)
        return jnp.where(taken[:, None, None, None], self.direct(name, features), features), context

    def direct(self, name: str, x: jax.Array) -> jax.Array:
        """One direction, on all images."""
        return getattr(self, name)(x)


class CycleGanDiscriminator(nn.Module):
    """A patch critic for what each direction makes."""

    attributes: Attributes
    resolution: int = 128
    width: int = 64

    def setup(self) -> None:
        for name, *_ in edges(self.attributes):
            setattr(self, f"of_{name}", _Patches(self.width))

    def judge(self, name: str, x: jax.Array) -> jax.Array:
        """Scores of patches `[n, h, w]`: 1 for a real image of the direction's target."""
        return getattr(self, f"of_{name}")(x)

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Mean score `[n]`."""
        return jnp.stack([self.judge(name, x).mean((1, 2)) for name, *_ in edges(self.attributes)]).mean(0)


def generator(resolution: int = 128, attributes: tuple = (), **fields: Any) -> CycleGanGenerator:
    """The published network for 128 pixels by default."""
    check_size("cyclegan", resolution)
    return CycleGanGenerator(checked_attributes(attributes), resolution, **fields)


def discriminator(resolution: int = 128, attributes: tuple = (), **fields: Any) -> CycleGanDiscriminator:
    """The published critic by default; its five convolutions need 32 pixels."""
    check_size("cyclegan", resolution)
    if resolution < 32:
        raise GanxError(f"cyclegan's critic needs 32 pixels, not {resolution}; use ?size=32 or more")
    return CycleGanDiscriminator(checked_attributes(attributes), resolution, **fields)


FAMILY = Family("cyclegan", CycleGanGenerator, CycleGanDiscriminator, generator, discriminator)
