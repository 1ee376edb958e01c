"""Bilinear look-ups in tables and their transpose, each in the form that runs well.

JAX's transpose of four look-ups is four scatters into four tables. On CPU one scatter of 2 x 2 windows takes half the
time, while one look-up of such windows takes several times as long as four of single entries. Both are linear, so that
each serves as the other's transpose whatever the order of the derivative.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.custom_derivatives import linear_call

Points = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def sample(table: jax.Array, row: jax.Array, column: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
    """Values `[n, q, c]` between entries of `table` `[n, rows, columns, c]`.

    Args:
      table: differentiable, of any order.
      row, column: `[n, q]` int32, the entry above and to the left; the next row and column must exist.
      down, right: `[n, q]` in [0, 1), how far from it; constants, like the indices.
    """
    size = (table.shape[1], table.shape[2])
    points = jax.lax.stop_gradient((row, column, down, right))
    return linear_call(_look_up, lambda points, values: _spread(points, values, size), points, table)


def _look_up(points: Points, table: jax.Array) -> jax.Array:
    row, column, down, right = points
    n, _, columns, channels = table.shape
    entries = table.reshape(n, -1, channels)
    start = row * columns + column

    def at(offset: int) -> jax.Array:
        return jax.vmap(lambda rows, index: rows.at[index].get(mode="promise_in_bounds"))(entries, start + offset)

    down, right = down[..., None], right[..., None]
    above = at(0) * (1 - right) + at(1) * right
    below = at(columns) * (1 - right) + at(columns + 1) * right
    return above * (1 - down) + below * down


def _spread(points: Points, values: jax.Array, size: tuple[int, int]) -> jax.Array:
    row, column, down, right = points
    n, _, channels = values.shape
    vertical, horizontal = jnp.stack([1 - down, down], -1), jnp.stack([1 - right, right], -1)
    windows = values[:, :, None, None] * (vertical[..., None] * horizontal[..., None, :])[..., None]
    dims = jax.lax.ScatterDimensionNumbers(
        update_window_dims=(2, 3, 4),
        inserted_window_dims=(),
        scatter_dims_to_operand_dims=(1, 2),
        operand_batching_dims=(0,),
        scatter_indices_batching_dims=(0,),
    )
    empty = jnp.zeros((n, *size, channels), values.dtype)
    return jax.lax.scatter_add(empty, jnp.stack([row, column], -1), windows, dims, mode="promise_in_bounds")
