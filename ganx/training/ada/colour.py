"""Colour transforms of an image composed into one matrix on (r, g, b, 1)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ganx.training.ada.affine import identity, product
from ganx.training.ada.dice import Dice
from ganx.training.ada.policy import Policy

_GREY = np.array([1.0, 1.0, 1.0, 0.0]) / np.sqrt(3)
_ALONG = np.outer(_GREY, _GREY)
_ACROSS = np.diag([1.0, 1.0, 1.0, 0.0]) - _ALONG
_HOMOGENEOUS = np.diag([0.0, 0.0, 0.0, 1.0])
_COLOUR = np.diag([1.0, 1.0, 1.0, 0.0])
# the cross product with the grey axis: what turns a colour a little about it
_SPIN = np.array([[0, -1, 1, 0], [1, 0, -1, 0], [-1, 1, 0, 0], [0, 0, 0, 0]]) / np.sqrt(3)


def draw_matrix(dice: Dice, policy: Policy, channels: int, n: int) -> jax.Array:
    """`[n, 4, 4]` in the order of Karras et al. 2020b, appendix B. Hue and saturation need three channels."""
    steps = [*_levels(dice, policy)]
    if channels == 3:
        steps += _chroma(dice, policy)
    total = identity(n, 4)
    for step in steps:
        total = product(step, total)
    return total


def apply_matrix(images: jax.Array, matrix: jax.Array) -> jax.Array:
    """Colours `[n, h, w, 1 or 3]` under `[n, 4, 4]`; grey images take the mean of what grey colours become."""
    matrix = matrix[:, None, None, :3]
    if images.shape[-1] == 1:
        mean = matrix.mean(-2, keepdims=True)
        return images * mean[..., :3].sum(-1) + mean[..., 3]
    return sum(images[..., k, None] * matrix[..., k] for k in range(3)) + matrix[..., 3]


def _levels(dice: Dice, policy: Policy) -> list[jax.Array]:
    steps = []
    if policy.brightness:
        by = dice.gate(policy.brightness, dice.normal() * policy.brightness_std, 0.0)
        shift = np.zeros((4, 4))
        shift[:3, 3] = 1
        steps.append(_sum(np.eye(4), (by, shift)))
    if policy.contrast:
        by = dice.gate(policy.contrast, jnp.exp2(dice.normal() * policy.contrast_std), 1.0)
        steps.append(_sum(_HOMOGENEOUS, (by, _COLOUR)))
    if policy.luma_flip:
        side = dice.gate(policy.luma_flip, jnp.floor(dice.uniform() * 2), 0.0)
        steps.append(_sum(np.eye(4), (-2 * side, _ALONG)))
    return steps


def _chroma(dice: Dice, policy: Policy) -> list[jax.Array]:
    steps = []
    if policy.hue:
        angle = dice.gate(policy.hue, (dice.uniform() * 2 - 1) * jnp.pi * policy.hue_max, 0.0)
        steps.append(_sum(np.eye(4), (jnp.cos(angle) - 1, _ACROSS), (jnp.sin(angle), _SPIN)))
    if policy.saturation:
        by = dice.gate(policy.saturation, jnp.exp2(dice.normal() * policy.saturation_std), 1.0)
        steps.append(_sum(np.eye(4), (by - 1, _ACROSS)))
    return steps


def _sum(constant: np.ndarray, *terms: tuple[jax.Array, np.ndarray]) -> jax.Array:
    total = jnp.asarray(constant, jnp.float32)[None]
    for amount, term in terms:
        total = total + amount[:, None, None] * jnp.asarray(term, jnp.float32)
    return total
