"""Features seen without fine detail, so that a group's region is in one piece (ours).

Nothing in the paper's terms asks that a region be connected. Transposed convolutions give each phase of the grid
weights of its own, and filters can part by sharing the grid among them like the squares of a chess board: exclusive,
and no part of anything. Groups and energies of blurred maps see such filters in the same place.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def smoothed(features: jax.Array, sigma: float) -> jax.Array:
    """Features `[n, h, w, m]` blurred by a Gaussian of `sigma` positions, its weights at every position adding up to 1.

    A `sigma` of 0 returns them as they are.
    """
    if not sigma:
        return features
    down, across = (_weights(n, sigma).astype(features.dtype) for n in features.shape[1:3])
    return jnp.einsum("nhwm,Hh,Ww->nHWm", features, down, across)


def _weights(n: int, sigma: float) -> jax.Array:
    """`[n, n]`, one row for each position of the result."""
    places = jnp.arange(n, dtype=jnp.float32)
    weights = jnp.exp(-jnp.square((places[:, None] - places) / sigma) / 2)
    return weights / weights.sum(1, keepdims=True)
