"""Gradients of a large batch in little memory: the sum over its parts (Brock et al. 2019 train on 2048 images so)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ganx.training.loops import inner_loop

Tree = Any
Gradient = Callable[[Tree, Tree, jax.Array], tuple[Tree, tuple[Tree, Tree]]]


def accumulate(
    gradient: Gradient, params: Tree, stats: Tree, batch: Tree, key: jax.Array, parts: int
) -> tuple[Tree, Tree, Tree]:
    """The mean of a gradient over the parts of a batch, one after the other.

    Args:
      gradient: `(stats, part, key) -> (gradient of a mean over the part, (new stats, what else is of interest))`.
      params: of the gradient's shape.
      stats: what each part leaves to the next, such as batch statistics.
      batch: leaves with a leading axis that `parts` divides; each part takes every `parts`-th row, so that the
        rows of a device stay on it.
      key: split over the parts, if there is more than one.
      parts: how many.

    Returns:
      The gradient, the last stats, and what else there was, stacked along a new first axis.
    """
    if parts == 1:
        grads, (stats, seen) = gradient(stats, batch, key)
        return grads, stats, jax.tree.map(lambda x: x[None], seen)

    def body(carry: tuple[Tree, Tree], x: tuple[Tree, jax.Array]) -> tuple[tuple[Tree, Tree], Tree]:
        total, stats = carry
        grads, (stats, seen) = gradient(stats, *x)
        return (jax.tree.map(jnp.add, total, grads), stats), seen

    start = jax.tree.map(jnp.zeros_like, params), stats
    xs = jax.tree.map(lambda x: _parts(x, parts), batch), jax.random.split(key, parts)
    (total, stats), seen = inner_loop(body, start, xs)
    return jax.tree.map(lambda g: g / parts, total), stats, seen


def _parts(x: jax.Array, parts: int) -> jax.Array:
    return jnp.moveaxis(x.reshape(len(x) // parts, parts, *x.shape[1:]), 1, 0)
