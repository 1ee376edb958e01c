"""Small matrices, one for each image, multiplied exactly in float32 on every backend."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def matrix(rows: list[list[jax.Array | float]], n: int) -> jax.Array:
    """`[n, len(rows), len(rows[0])]` from entries that are `[n]` or plain numbers."""
    return jnp.stack([jnp.stack([jnp.broadcast_to(jnp.float32(v), n) for v in row], -1) for row in rows], -2)


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """`a @ b` for `[n, i, j]` and `[n, j, k]`, as a sum of products: matrix units would round to TF32 or bfloat16."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def identity(n: int, size: int) -> jax.Array:
    """`[n, size, size]`."""
    return jnp.broadcast_to(jnp.eye(size), (n, size, size))


def moved(transform: jax.Array) -> jax.Array:
    """`[n]` bool: which of `[n, k, k]` differ from the identity at all."""
    return (transform != jnp.eye(transform.shape[-1])).any((1, 2))
