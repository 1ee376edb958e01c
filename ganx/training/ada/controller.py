"""The controller of the augmentation probability: as much as keeps the discriminator from overfitting."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from ganx.errors import GanxError


@dataclasses.dataclass(frozen=True)
class AdaState:
    """The probability `p`, and the sum and number of the signs seen since it last moved; float32 scalars."""

    p: jax.Array
    signs: jax.Array
    count: jax.Array


jax.tree_util.register_dataclass(AdaState, ["p", "signs", "count"], [])


@dataclasses.dataclass(frozen=True)
class Controller:
    """Moves p by a fixed amount towards r_t = E[sign D(real)] = target (Karras et al. 2020b, section 3.1, eq. 1).

    Attributes:
      batch: images in a step, over all devices.
      start: p at the beginning.
      target: of r_t; None keeps p where it is, which is plain augmentation with a fixed probability.
      kimg: thousands of images in which p can go from 0 to 1 (100 when a trained GAN is tuned to new data).
      every: steps between two updates.
    """

    batch: int
    start: float = 0.0
    target: float | None = 0.6
    kimg: float = 500.0
    every: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.start <= 1:
            raise GanxError(f"augmentation p={self.start} is no probability; it must lie in [0, 1]")
        if self.target is not None and not -1 < self.target < 1:
            raise GanxError(f"augmentation target={self.target} must lie in (-1, 1), as a mean of signs does")
        if self.target is not None and (self.kimg <= 0 or self.every < 1):
            raise GanxError(f"augmentation kimg={self.kimg}, every={self.every}: both must be positive")

    def init(self) -> AdaState:
        """Before the first step."""
        return AdaState(jnp.full((), self.start, jnp.float32), jnp.zeros(()), jnp.zeros(()))

    def observe(self, state: AdaState, logits: jax.Array) -> AdaState:
        """Counts the signs of the discriminator's logits on augmented reals, `[n]`."""
        logits = jax.lax.stop_gradient(logits).astype(jnp.float32)
        return dataclasses.replace(
            state, signs=state.signs + jnp.sign(logits).sum(), count=state.count + float(logits.size)
        )

    def update(self, state: AdaState, due: bool | jax.Array = True) -> AdaState:
        """If `due` and anything was seen, moves p and starts counting afresh. p is held at 0 from below only.

        As in the authors' code p may pass 1, where every transform fires anyway.
        """
        if self.target is None:
            return dataclasses.replace(state, signs=jnp.zeros(()), count=jnp.zeros(()))
        mean = state.signs / jnp.maximum(state.count, 1)
        move = jnp.sign(mean - self.target) * (self.batch * self.every / (self.kimg * 1000))
        moved = AdaState(jnp.maximum(state.p + move, 0), jnp.zeros(()), jnp.zeros(()))
        ready = jnp.logical_and(due, state.count > 0)
        return jax.tree.map(lambda new, old: jnp.where(ready, new, old), moved, state)
