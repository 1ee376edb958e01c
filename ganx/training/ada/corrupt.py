"""Corruptions: noise, and a square cut out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ganx.training.ada.dice import Dice
from ganx.training.ada.policy import Policy
from ganx.training.mesh import shard_batch


def add_noise(images: jax.Array, dice: Dice, key: jax.Array, policy: Policy, mesh: Mesh | None) -> jax.Array:
    """White noise whose standard deviation is half-normal."""
    sigma = dice.gate(policy.noise, dice.half_normal() * policy.noise_std, 0.0)
    noise = shard_batch(jax.random.normal(key, images.shape), mesh)
    return images + sigma[:, None, None, None] * noise


def cut_out(images: jax.Array, dice: Dice, policy: Policy) -> jax.Array:
    """Grey (0) in a square of `cutout_size` of the image about a centre anywhere in it."""
    centre = jnp.stack([dice.uniform(), dice.uniform()], -1)
    size = dice.gate(policy.cutout, jnp.full(len(images), policy.cutout_size), 0.0)
    across, down = (
        jnp.abs((jnp.arange(length) + 0.5) / length - centre[:, axis, None]) < size[:, None] / 2
        for axis, length in ((0, images.shape[2]), (1, images.shape[1]))
    )
    return jnp.where((down[:, :, None] & across[:, None])[..., None], 0.0, images)
