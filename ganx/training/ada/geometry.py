"""Pixel moves: all geometric transforms of an image composed into one matrix."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ganx.training.ada.affine import identity, matrix, product
from ganx.training.ada.dice import Dice
from ganx.training.ada.policy import Policy


def draw_inverse(dice: Dice, policy: Policy, height: int, width: int, n: int) -> jax.Array:
    """`[n, 3, 3]` in the order of Karras et al. 2020b, appendix B: from a place in the result to one in the image.

    Places are (x, y, 1) in pixels from the image's centre.
    """
    inverse = identity(n, 3)
    for step in (*_blits(dice, policy, height, width), *_warps(dice, policy, height, width)):
        inverse = product(inverse, step)
    return inverse


def _blits(dice: Dice, policy: Policy, height: int, width: int) -> list[jax.Array]:
    steps = []
    if policy.flip:
        side = dice.gate(policy.flip, jnp.floor(dice.uniform() * 2), 0.0)
        steps.append(_scaled(1 - 2 * side, jnp.ones_like(side)))
    if policy.rotate90:
        turns = dice.gate(policy.rotate90, jnp.floor(dice.uniform() * 4), 0.0)
        steps.append(_quarter_turned(turns))
    if policy.shift:
        by = jnp.stack([dice.uniform(), dice.uniform()], -1) * 2 - 1
        by = dice.gate(policy.shift, by * policy.shift_max, 0.0)
        steps.append(_shifted(jnp.round(by[:, 0] * width), jnp.round(by[:, 1] * height)))
    return steps


def _warps(dice: Dice, policy: Policy, height: int, width: int) -> list[jax.Array]:
    steps = []
    if policy.scale:
        zoom = dice.gate(policy.scale, jnp.exp2(dice.normal() * policy.scale_std), 1.0)
        steps.append(_scaled(zoom, zoom))
    if policy.rotate:
        steps.append(_turned(_angle(dice, policy)))
    if policy.stretch:
        zoom = dice.gate(policy.stretch, jnp.exp2(dice.normal() * policy.stretch_std), 1.0)
        steps.append(_scaled(zoom, 1 / zoom))
    if policy.rotate:
        after = _angle(dice, policy)
        steps.append(_turned(jnp.zeros_like(after) if dice.fixed else after))
    if policy.drift:
        by = jnp.stack([dice.normal(), dice.normal()], -1)
        by = dice.gate(policy.drift, by * policy.drift_std, 0.0)
        steps.append(_shifted(by[:, 0] * width, by[:, 1] * height))
    return steps


def _angle(dice: Dice, policy: Policy) -> jax.Array:
    """One of the two rotations; together they fire with probability p."""
    angle = (dice.uniform() * 2 - 1) * jnp.pi * policy.rotate_max
    return dice.gate(policy.rotate, angle, 0.0, lambda rate: 1 - jnp.sqrt(jnp.clip(1 - rate, 0, 1)))


# The inverses of an image's zoom, turn and shift.


def _scaled(x: jax.Array, y: jax.Array) -> jax.Array:
    return matrix([[1 / x, 0, 0], [0, 1 / y, 0], [0, 0, 1]], len(x))


def _shifted(x: jax.Array, y: jax.Array) -> jax.Array:
    return matrix([[1, 0, -x], [0, 1, -y], [0, 0, 1]], len(x))


def _turned(angle: jax.Array) -> jax.Array:
    return _rotation(jnp.cos(angle), jnp.sin(angle))


def _quarter_turned(turns: jax.Array) -> jax.Array:
    """By whole quarter turns, so that no entry is a rounded cosine."""
    k = turns.astype(jnp.int32)
    cos, sin = (jnp.array([1.0, 0.0, -1.0, 0.0])[index % 4] for index in (k, k + 3))
    return _rotation(cos, sin)


def _rotation(cos: jax.Array, sin: jax.Array) -> jax.Array:
    return matrix([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], len(cos))
