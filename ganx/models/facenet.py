"""FaceNet on Inception-ResNet-v1 (Schroff et al. 2015; Szegedy et al. 2017): who is in a picture of a face.

The network of D. Sandberg's "facenet" as `facenet-pytorch` publishes it. Each convolution's batch norm is folded into
its kernel and bias.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models.units import Conv, Unit, max_pool

SIDE, WIDTH, EPSILON = 160, 512, 1e-3
STEM = (
    Unit("conv2d_1a", 32, (3, 3), 2, False),
    Unit("conv2d_2a", 32, (3, 3), 1, False),
    Unit("conv2d_2b", 64, (3, 3)),
    Unit("conv2d_3b", 80),
    Unit("conv2d_4a", 192, (3, 3), 1, False),
    Unit("conv2d_4b", 256, (3, 3), 2, False),
)


class Block(NamedTuple):
    """Branches side by side. A residual block projects them and adds `scale` times that to its input; a reduction, with
    `scale` 0, halves the map and has a maximum beside its branches. Names are those of the public file."""

    name: str
    branches: tuple[tuple[Unit, ...], ...]
    scale: float = 0.0
    relu: bool = True


def _small(name: str) -> Block:
    one = (Unit("branch0", 32),)
    two = (Unit("branch1.0", 32), Unit("branch1.1", 32, (3, 3)))
    three = (Unit("branch2.0", 32), Unit("branch2.1", 32, (3, 3)), Unit("branch2.2", 32, (3, 3)))
    return Block(name, (one, two, three), 0.17)


def _crossed(name: str, width: int, size: int, scale: float, relu: bool = True) -> Block:
    """A 1 x 1 branch beside one of 1 x `size` and `size` x 1."""
    long = (
        Unit("branch1.0", width),
        Unit("branch1.1", width, (1, size)),
        Unit("branch1.2", width, (size, 1)),
    )
    return Block(name, ((Unit("branch0", width),), long), scale, relu)


BLOCKS = (
    *(_small(f"repeat_1.{i}") for i in range(5)),
    Block(
        "mixed_6a",
        (
            (Unit("branch0", 384, (3, 3), 2, False),),
            (Unit("branch1.0", 192), Unit("branch1.1", 192, (3, 3)), Unit("branch1.2", 256, (3, 3), 2, False)),
        ),
    ),
    *(_crossed(f"repeat_2.{i}", 128, 7, 0.10) for i in range(10)),
    Block(
        "mixed_7a",
        (
            (Unit("branch0.0", 256), Unit("branch0.1", 384, (3, 3), 2, False)),
            (Unit("branch1.0", 256), Unit("branch1.1", 256, (3, 3), 2, False)),
            (Unit("branch2.0", 256), Unit("branch2.1", 256, (3, 3)), Unit("branch2.2", 256, (3, 3), 2, False)),
        ),
    ),
    *(_crossed(f"repeat_3.{i}", 192, 3, 0.20) for i in range(5)),
    _crossed("block8", 192, 3, 1.0, relu=False),
)


def own(name: str) -> str:
    """A name of the public file as part of a variable's path here."""
    return name.replace(".", "_")


class _Block(nn.Module):
    spec: Block

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        outputs: list[jax.Array] = []
        for branch in self.spec.branches:
            y = x
            for unit in branch:
                y = Conv(unit, name=own(unit.name))(y)
            outputs.append(y)
        if not self.spec.scale:
            return jnp.concatenate([*outputs, max_pool(x, 2, 0)], -1)
        y = nn.Dense(x.shape[-1], name="conv2d")(jnp.concatenate(outputs, -1))
        x = x + self.spec.scale * y
        return nn.relu(x) if self.spec.relu else x


class FaceNet(nn.Module):
    """Faces float32 `[n, 160, 160, 3]`, (pixel - 127.5) / 128, to embeddings of length 1, float32 `[n, 512]`.

    The cosine of two embeddings says how alike two faces are. Faces are to be cropped as a detector crops them, with
    little around the head. Other sizes from 80 pixels on are taken too.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for unit in STEM:
            x = Conv(unit, name=unit.name)(x)
            x = max_pool(x, 2, 0) if unit.name == "conv2d_2b" else x
        for block in BLOCKS:
            x = _Block(block, name=own(block.name))(x)
        x = nn.Dense(WIDTH, name="last")(x.mean((1, 2)))
        return x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), 1e-12)
