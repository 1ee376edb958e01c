"""What the Inception family is built from: convolutions without batch norm of their own, and 3 x 3 pools."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models.correlate import correlate


class Unit(NamedTuple):
    """One convolution: name, channels out, kernel height and width, stride, and whether it pads to keep the size."""

    name: str
    width: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    same: bool = True


class Conv(nn.Module):
    """Convolution, bias (with a batch norm folded into both), ReLU."""

    unit: Unit

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        unit = self.unit
        shape = (*unit.kernel, x.shape[-1], unit.width)
        kernel = self.param("kernel", nn.initializers.he_uniform(), shape)
        bias = self.param("bias", nn.initializers.zeros, (unit.width,))
        pads = [((k - 1) // 2 if unit.same else 0) for k in unit.kernel]
        return nn.relu(correlate(x, kernel, unit.stride, ((pads[0],) * 2, (pads[1],) * 2)) + bias)


def max_pool(x: jax.Array, stride: int, pad: int) -> jax.Array:
    """3 x 3 maximum over `[n, h, w, c]`, `pad` pixels that never win on each side."""
    return _folded(jnp.maximum, x, stride, pad, -jnp.inf)


def average_pool(x: jax.Array) -> jax.Array:
    """3 x 3 mean over the pixels that exist, stride 1, the size kept."""
    ones = jnp.ones((1, *x.shape[1:3], 1), x.dtype)
    return _folded(jnp.add, x, 1, 1, 0.0) / _folded(jnp.add, ones, 1, 1, 0.0)


def _folded(
    op: Callable[[jax.Array, jax.Array], jax.Array], x: jax.Array, stride: int, pad: int, fill: float
) -> jax.Array:
    """A 3 x 3 window under `op`, columns before rows; as shifted slices, which on CPU beat a reduced window by far."""
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), constant_values=fill)
    for axis in (2, 1):
        end = x.shape[axis] - 2
        a, b, c = (jax.lax.slice_in_dim(x, i, i + end, stride, axis) for i in range(3))
        x = op(op(a, b), c)
    return x
