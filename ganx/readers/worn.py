"""Pictures as a generator may draw them: soft or hard edges, a little blurred, noisy and off in colour."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from ganx.data.example import Example
from ganx.data.feed import to_float
from ganx.data.worlds import PictureWorld

BLUR = 0.8
"""Largest standard deviation of the blur, in pixels."""
NOISE = 12.0
"""Largest standard deviation of the noise, of 255."""
SHIFT = 12.0
"""Largest shift of a channel, of 255."""
REACH = 3


def blur(images: jax.Array, deviation: jax.Array) -> jax.Array:
    """Gaussian blur, images `[n, H, W, C]`, standard deviations `[n]` in pixels; 0 changes nothing. Edges repeat."""
    offsets = jnp.arange(-REACH, REACH + 1)
    spread = jnp.maximum(deviation, 1e-3)[:, None]
    weights = jnp.exp(-0.5 * jnp.square(offsets / spread))
    weights = (weights / weights.sum(1, keepdims=True))[..., None, None, None]
    for axis in (1, 2):
        images = jax.lax.optimization_barrier(images)  # or all before it is worked out again for every tap
        pad = [(0, 0)] * 4
        pad[axis] = (REACH, REACH)
        padded, size = jnp.pad(images, pad, mode="edge"), images.shape[axis]
        taps = [weights[:, i] * jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(2 * REACH + 1)]
        images = functools.reduce(jnp.add, taps)
    return images


def wear(images: jax.Array, key: jax.Array) -> jax.Array:
    """Half of the pictures blurred, half noisy and half shifted in colour, each by its own amount.

    Images float32 `[n, H, W, C]` in [-1, 1], and so are the results.
    """
    n, blurred, noisy, shifted, grain, colour = len(images), *jax.random.split(key, 5)
    deviation = jnp.maximum(jax.random.uniform(blurred, (n,), minval=-BLUR, maxval=BLUR), 0)
    amount = jnp.maximum(jax.random.uniform(noisy, (n, 1, 1, 1), minval=-NOISE, maxval=NOISE), 0)
    shift = jnp.maximum(jax.random.uniform(shifted, (n, 1, 1, 1), minval=-SHIFT, maxval=SHIFT), 0)
    channels = jax.random.uniform(colour, (n, 1, 1, images.shape[-1]), minval=-1.0)
    images = blur(images, deviation) + (amount * jax.random.normal(grain, images.shape) + shift * channels) / 127.5
    return images.clip(-1, 1)


def draw(world: PictureWorld, indices: jax.Array) -> tuple[jax.Array, Example]:
    """Pictures float32 `[n, R, R, C]` in [-1, 1], every second one with soft edges, and all that is true of them."""
    hard = dataclasses.replace(world, edges="hard").render(indices)
    soft = dataclasses.replace(world, edges="soft").render(indices)
    odd = (indices % 2 == 1)[:, None, None, None]
    return to_float(jnp.where(odd, soft.image, hard.image)), hard
