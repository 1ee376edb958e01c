"""How a reader is trained: Adam on pictures that are drawn as they are needed, none of them twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ganx.data.example import Example
from ganx.data.worlds import PictureWorld
from ganx.readers.worn import BLUR, NOISE, SHIFT, draw, wear

Objective = Callable[[Any, jax.Array, Example, Any], jax.Array]
"""(variables, images, example, numbers) to a scalar loss."""

LEARNING_RATE = 2e-3
RECIPE = {"learning_rate": LEARNING_RATE, "blur": BLUR, "noise": NOISE, "shift": SHIFT}
"""What a trained reader depends on beside its network, its world and its length."""


def fit(world: PictureWorld, variables: Any, objective: Objective, steps: int, batch: int, seed: int) -> Any:
    """Trains from `variables` and gives the result (datasets §5.3: Adam 2e-3, cosine).

    Args:
      objective: told the worn pictures, what is true of them, and the world's numbers by name.
    """
    optimiser = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))

    @jax.jit
    def drawn(i: jax.Array) -> tuple[jax.Array, Example, Any]:
        indices = i * batch + jnp.arange(batch)
        images, example = draw(world, indices)
        return wear(images, jax.random.fold_in(jax.random.key(seed), i)), example, world.params(indices).values

    @jax.jit
    def step(state: Any, images: jax.Array, example: Example, numbers: Any) -> Any:
        variables, inner = state
        slopes = jax.grad(objective)(variables, images, example, numbers)
        updates, inner = optimiser.update(slopes, inner)
        return optax.apply_updates(variables, updates), inner

    state = (variables, optimiser.init(variables))
    for i in range(steps):
        state = step(state, *drawn(jnp.int32(i)))
    return state[0]
