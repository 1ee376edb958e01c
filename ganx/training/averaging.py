"""The averaged generator: an exponential moving average of the weights, as every published recipe has it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

Tree = Any

BUFFERS = ("average", "copy")


@dataclasses.dataclass(frozen=True)
class Averaging:
    """How the average follows the generator.

    Attributes:
      batch: images in a step.
      kimg: half-life in thousands of images; 0 for no average but a copy.
      rampup: the half-life is at most this share of the images seen so far (StyleGAN2-ADA: 0.05); 0 for no ramp.
      start: steps before which the average is a copy (BigGAN: 20,000).
      buffers: batch statistics are averaged too (BigGAN) or copied (StyleGAN2). Other collections are copied.
    """

    batch: int
    kimg: float
    rampup: float = 0.0
    start: int = 0
    buffers: str = "average"

    def decay(self, step: jax.Array | int) -> jax.Array:
        """How much of the old average is left after step `step`, counted from 0: a float32 scalar."""
        step = jnp.asarray(step, jnp.float32)
        half_life = jnp.asarray(self.kimg * 1000, jnp.float32)
        if self.rampup:
            half_life = jnp.minimum(half_life, step * self.batch * self.rampup)
        # a half-life of nothing is a copy, as is the warm start
        decay = jnp.where(half_life > 0, 0.5 ** (self.batch / jnp.maximum(half_life, 1e-8)), 0.0)
        return jnp.where(step < self.start, 0.0, decay)

    def __call__(self, ema: Tree, now: Tree, step: jax.Array | int) -> Tree:
        """The average after step `step`, from the one before and the generator's variables now."""
        averaged = ("params", "batch_stats") if self.buffers == "average" else ("params",)
        return average(ema, now, self.decay(step), averaged)


def average(ema: Tree, now: Tree, decay: float | jax.Array, averaged: tuple[str, ...]) -> Tree:
    """`decay * ema + (1 - decay) * now` for the collections in `averaged`; the others are copied.

    Kept in float32 whatever the networks compute in: a bfloat16 average with a decay near 1 would never move.
    """

    def blend(old: Tree, new: Tree) -> Tree:
        return optax.incremental_update(new, old, jnp.asarray(1 - decay, jnp.float32))

    return {k: blend(ema[k], v) if k in averaged else v for k, v in now.items()}
