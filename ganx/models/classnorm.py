"""Batch normalisation as BigGAN has it: class-conditional, its statistics in a table indexed by truncation."""

from __future__ import annotations

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models.spectral import SpectralDense, WeightRule

MOMENTUM = 0.9


class TableRow(NamedTuple):
    """Where a sample looks up its statistics: row `row` int32 `[n]`, and `weight` `[n]` of the row after it."""

    row: jax.Array
    weight: jax.Array


def table_row(truncation: float | jax.Array, rows: int, n: int, legacy: bool = False) -> TableRow:
    """The place of `truncation`, in [0, 1], in a table whose rows are evenly spaced from 0 to 1.

    Args:
      truncation: a number for all `n` samples, or an array `[n]`. Numbers are placed in double precision.
      rows: how many rows the table has; with one there is nothing to choose.
      n: number of samples.
      legacy: interpolate as pytorch-pretrained-BigGAN does, with the two weights the wrong way round. Between
        rows that is a different network; it matters for reproducing published pictures only.
    """
    if isinstance(truncation, int | float):
        if not 0 <= truncation <= 1:
            raise GanxError(f"truncation is a number from 0 to 1, not {truncation}")
        part, whole = math.modf(truncation / (1.0 / (rows - 1))) if rows > 1 else (0.0, 0.0)
        weight = 1.0 - part if legacy and part else part
        return TableRow(jnp.full(n, int(whole), jnp.int32), jnp.full(n, weight, jnp.float32))
    place = jnp.broadcast_to(jnp.asarray(truncation, jnp.float32) * (rows - 1), n)
    row = jnp.floor(place)
    above = place - row
    return TableRow(row.astype(jnp.int32), jnp.where(above > 0, 1.0 - above, 0.0) if legacy else above)


class _Standardised(nn.Module):
    """Statistics `[rows, c]` in the collection "batch_stats".

    Training uses the batch's, over all axes but the last, and moves every row towards them alike, as PyTorch does:
    `new = 0.9 old + 0.1 batch`, variance unbiased. What each truncation needs of its own, `standing_statistics`
    measures afterwards.
    """

    rows: int = 1
    epsilon: float = 1e-5

    def standardised(self, x: jax.Array, place: TableRow | None, train: bool) -> jax.Array:
        """`x` with mean 0 and variance 1 in each channel, float32."""
        c = x.shape[-1]
        mean = self.variable("batch_stats", "mean", jnp.zeros, (self.rows, c))
        var = self.variable("batch_stats", "var", jnp.ones, (self.rows, c))
        x = x.astype(jnp.float32)
        if not train:
            m, v = _look_up(mean.value, place), _look_up(var.value, place)
        else:
            m, v = x.mean((0, 1, 2)), x.var((0, 1, 2))
            if not self.is_initializing():
                count = x.size // c
                mean.value = MOMENTUM * mean.value + (1 - MOMENTUM) * m
                var.value = MOMENTUM * var.value + (1 - MOMENTUM) * v * (count / max(count - 1, 1))
        return (x - m) * jax.lax.rsqrt(v + self.epsilon)


def _look_up(table: jax.Array, place: TableRow | None) -> jax.Array:
    """`[c]` without a place, `[n, 1, 1, c]` with one."""
    if place is None:
        return table[0]
    after = jnp.minimum(place.row + 1, len(table) - 1)
    weight = place.weight[:, None]
    return ((1.0 - weight) * table[place.row] + weight * table[after])[:, None, None]


class Norm(_Standardised):
    """Batch normalisation with a learned scale and bias for each channel."""

    @nn.compact
    def __call__(self, x: jax.Array, place: TableRow | None, train: bool) -> jax.Array:
        """`x` `[n, h, w, c]` normalised, in its own dtype."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        return (self.standardised(x, place, train) * scale + bias).astype(x.dtype)


class ClassNorm(_Standardised):
    """Batch normalisation whose scale and bias are linear in the condition (Brock et al. 2019, §3 and appendix B)."""

    rule: WeightRule = WeightRule()

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array, place: TableRow | None, train: bool) -> jax.Array:
        """`x` `[n, h, w, c]` normalised, in its own dtype, under `condition` `[n, d]`."""
        features = x.shape[-1]
        scale = SpectralDense(self.rule, features, bias=False, name="scale")(condition, train)
        offset = SpectralDense(self.rule, features, bias=False, name="offset")(condition, train)
        x32 = self.standardised(x, place, train)
        return (x32 * (1.0 + scale[:, None, None]) + offset[:, None, None]).astype(x.dtype)
