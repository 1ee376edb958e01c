"""Which value each sample is asked for."""

from __future__ import annotations

import jax
import jax.numpy as jnp

KINDS = ("other", "any", "permute")


def draw_targets(key: jax.Array, values: jax.Array, counts: tuple[int, ...], kind: str = "other") -> jax.Array:
    """Target values int32 `[n, attributes]`, always valid ones.

    Args:
      values: int32 `[n, attributes]`, -1 where not known.
      counts: how many values each attribute has.
      kind: "other": uniform over the values that the sample does not have (over all where it is not known), for each
        attribute by itself, so that rare values are asked for as often as common ones. "any": uniform over all values,
        the sample's own too: with "other" a binary attribute is always turned over, and E and R can learn to do so
        themselves and leave the transformer idle (ours; configs/modulargan/README.md). "permute": the values of
        another image of the batch, the same one for all attributes (StarGAN); where those are not known, as "other".
    """
    jump_key, any_key, swap_key = jax.random.split(key, 3)
    sizes = jnp.asarray(counts, jnp.int32)
    shape = values.shape
    jump = 1 + jnp.floor(jax.random.uniform(jump_key, shape) * (sizes - 1)).astype(jnp.int32)
    free = jnp.floor(jax.random.uniform(any_key, shape) * sizes).astype(jnp.int32)
    other = jnp.where(values >= 0, (values + jnp.minimum(jump, sizes - 1)) % sizes, jnp.minimum(free, sizes - 1))
    if kind == "other":
        return other
    if kind == "any":
        return jnp.minimum(free, sizes - 1)
    swapped = values[jax.random.permutation(swap_key, len(values))]
    return jnp.where(swapped >= 0, swapped, other)
