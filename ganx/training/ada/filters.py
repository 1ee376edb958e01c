"""The image filter: four frequency bands, each louder or quieter."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ganx.training.ada.dice import Dice
from ganx.training.ada.policy import Policy
from ganx.training.ada.wavelets import EXPECTED_POWER, filter_bank, reflected


def draw_gains(dice: Dice, policy: Policy, n: int) -> jax.Array:
    """`[n, 4]` gains of the bands, from low to high frequencies.

    Each band is drawn in turn, and after each the power that a natural image is expected to have is put right again.
    """
    power = jnp.asarray(EXPECTED_POWER, jnp.float32)
    gains = jnp.ones((n, 4))
    for band, factor in enumerate(policy.bands):
        if not factor:
            continue
        gain = dice.gate(policy.filter * factor, jnp.exp2(dice.normal() * policy.filter_std), 1.0)
        step = jnp.where(jnp.arange(4) == band, gain[:, None], 1.0)
        gains = gains * (step / jnp.sqrt((power * step**2).sum(-1, keepdims=True)))
    return gains


def apply_gains(images: jax.Array, gains: jax.Array) -> jax.Array:
    """`images` `[n, h, w, c]`, mirrored at the borders, through filters made of the bands; along both axes alike."""
    _, height, width, _ = images.shape
    vertical, horizontal = (
        jnp.einsum("nb,bij->nij", gains, _bands(size), precision=jax.lax.Precision.HIGHEST) for size in (height, width)
    )
    planes = images.transpose(0, 3, 1, 2)
    planes = jnp.einsum("nih,nchw->nciw", vertical, planes, precision=jax.lax.Precision.HIGHEST)
    planes = jnp.einsum("njw,nciw->ncij", horizontal, planes, precision=jax.lax.Precision.HIGHEST)
    return planes.transpose(0, 2, 3, 1)


@functools.cache
def _bands(size: int) -> np.ndarray:
    """`[4, size, size]`: each band's filter on a mirrored axis."""
    bank = filter_bank()
    half = bank.shape[1] // 2
    matrices = np.zeros((size, size, 4), np.float32)
    place = np.arange(size)
    for k, taps in enumerate(bank.T):
        np.add.at(matrices, (place, reflected(place + k - half, size)), taps)
    return matrices.transpose(2, 0, 1).copy()
