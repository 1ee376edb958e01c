"""InceptionV3 as the Fréchet distance means it: the network of TensorFlow's `inception-2015-12-05`.

It differs from the stock network (Szegedy et al. 2016) in what decides the score: average pools leave padding out of
their divisor, the last block pools by maximum, and there are 1008 classes. Each convolution's batch norm is folded
into its kernel and bias. Source: methods of TTUR and pytorch-fid, as the public weights require.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models.units import Conv, Unit, average_pool, max_pool

SIDE, CLASSES, EPSILON = 299, 1008, 1e-3


Branch = tuple[Unit | tuple[Unit, ...], ...]  # a tuple at the end forks: its outputs stand side by side


class Mixed(NamedTuple):
    """One block: branches side by side, then a pool, with a convolution behind it where `project` is above 0."""

    name: str
    branches: tuple[Branch, ...]
    pool: str
    project: int = 0


STEM = (
    Unit("Conv2d_1a_3x3", 32, (3, 3), 2, False),
    Unit("Conv2d_2a_3x3", 32, (3, 3), 1, False),
    Unit("Conv2d_2b_3x3", 64, (3, 3)),
    Unit("Conv2d_3b_1x1", 80),
    Unit("Conv2d_4a_3x3", 192, (3, 3), 1, False),
)


def _a(name: str, project: int) -> Mixed:
    five = (Unit("branch5x5_1", 48), Unit("branch5x5_2", 64, (5, 5)))
    three = (Unit("branch3x3dbl_1", 64), Unit("branch3x3dbl_2", 96, (3, 3)), Unit("branch3x3dbl_3", 96, (3, 3)))
    return Mixed(name, ((Unit("branch1x1", 64),), five, three), "average", project)


def _b(name: str) -> Mixed:
    double = (
        Unit("branch3x3dbl_1", 64),
        Unit("branch3x3dbl_2", 96, (3, 3)),
        Unit("branch3x3dbl_3", 96, (3, 3), 2, False),
    )
    return Mixed(name, ((Unit("branch3x3", 384, (3, 3), 2, False),), double), "reduce")


def _c(name: str, width: int) -> Mixed:
    single = (Unit("branch7x7_1", width), Unit("branch7x7_2", width, (1, 7)), Unit("branch7x7_3", 192, (7, 1)))
    double = (
        Unit("branch7x7dbl_1", width),
        Unit("branch7x7dbl_2", width, (7, 1)),
        Unit("branch7x7dbl_3", width, (1, 7)),
        Unit("branch7x7dbl_4", width, (7, 1)),
        Unit("branch7x7dbl_5", 192, (1, 7)),
    )
    return Mixed(name, ((Unit("branch1x1", 192),), single, double), "average", 192)


def _d(name: str) -> Mixed:
    three = (Unit("branch3x3_1", 192), Unit("branch3x3_2", 320, (3, 3), 2, False))
    seven = (
        Unit("branch7x7x3_1", 192),
        Unit("branch7x7x3_2", 192, (1, 7)),
        Unit("branch7x7x3_3", 192, (7, 1)),
        Unit("branch7x7x3_4", 192, (3, 3), 2, False),
    )
    return Mixed(name, (three, seven), "reduce")


def _e(name: str, pool: str) -> Mixed:
    def fork(a: str, b: str) -> tuple[Unit, ...]:
        return Unit(a, 384, (1, 3)), Unit(b, 384, (3, 1))

    three: Branch = (Unit("branch3x3_1", 384), fork("branch3x3_2a", "branch3x3_2b"))
    double: Branch = (
        Unit("branch3x3dbl_1", 448),
        Unit("branch3x3dbl_2", 384, (3, 3)),
        fork("branch3x3dbl_3a", "branch3x3dbl_3b"),
    )
    return Mixed(name, ((Unit("branch1x1", 320),), three, double), pool, 192)


BLOCKS = (
    *(_a(f"Mixed_5{x}", p) for x, p in zip("bcd", (32, 64, 64), strict=True)),
    _b("Mixed_6a"),
    *(_c(f"Mixed_6{x}", w) for x, w in zip("bcde", (128, 160, 160, 192), strict=True)),
    _d("Mixed_7a"),
    _e("Mixed_7b", "average"),
    _e("Mixed_7c", "maximum"),
)


def _pooled(x: jax.Array, how: str) -> jax.Array:
    return average_pool(x) if how == "average" else max_pool(x, 1, 1) if how == "maximum" else max_pool(x, 2, 0)


class _Block(nn.Module):
    spec: Mixed

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        outputs: list[jax.Array] = []
        for branch in self.spec.branches:
            y = x
            for unit in branch:
                if isinstance(unit, Unit):
                    y = Conv(unit, name=unit.name)(y)
                else:
                    y = jnp.concatenate([Conv(u, name=u.name)(y) for u in unit], -1)
            outputs.append(y)
        pooled = _pooled(x, self.spec.pool)
        if self.spec.project:
            pooled = Conv(Unit("branch_pool", self.spec.project), name="branch_pool")(pooled)
        return jnp.concatenate([*outputs, pooled], -1)


class Inception(nn.Module):
    """Images float32 `[n, 299, 299, 3]`, nominally in [-1, 1], to features by name.

    "64", "192", "768" and "2048": averages over the map after the first and second max pool, Mixed_6e and Mixed_7c;
    "logits_unbiased" `[n, 1008]` without the last bias, and "logits" with it. What is not used costs nothing under
    `jit`, except that layers up to the deepest one asked for run: `until` names it.
    """

    until: str = "logits"

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        found: dict[str, jax.Array] = {}
        for unit in STEM:
            x = Conv(unit, name=unit.name)(x)
            if unit.width in (64, 192):
                x = max_pool(x, 2, 0)
                found[str(unit.width)] = x.mean((1, 2))
        for block in BLOCKS:
            x = _Block(block, name=block.name)(x)
            if block.name == "Mixed_6e":
                found["768"] = x.mean((1, 2))
        found["2048"] = x.mean((1, 2))
        if self.until == "logits":
            found |= self._logits(found["2048"])
        return found

    def _logits(self, features: jax.Array) -> dict[str, jax.Array]:
        kernel = self.param("fc_kernel", nn.initializers.lecun_normal(), (features.shape[-1], CLASSES))
        bias = self.param("fc_bias", nn.initializers.zeros, (CLASSES,))
        unbiased = features @ kernel
        return {"logits_unbiased": unbiased, "logits": unbiased + bias}


def units(branches: Sequence[Branch]) -> list[Unit]:
    """The convolutions of some branches, in order."""
    found: list[Unit] = []
    for branch in branches:
        for unit in branch:
            found += [unit] if isinstance(unit, Unit) else list(unit)
    return found


def paths() -> list[tuple[str, ...]]:
    """The path of every convolution: `("Conv2d_1a_3x3",)` or `("Mixed_5b", "branch1x1")`."""
    found: list[tuple[str, ...]] = [(unit.name,) for unit in STEM]
    for block in BLOCKS:
        found += [(block.name, unit.name) for unit in units(block.branches)]
        found += [(block.name, "branch_pool")] if block.project else []
    return found
