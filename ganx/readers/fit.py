"""How a reader is trained: Adam on batches that are drawn as they are needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from tqdm import tqdm

from ganx.data.example import Example
from ganx.data.worlds import PictureWorld
from ganx.readers.worn import BLUR, NOISE, SHIFT, draw, wear

Draw = Callable[[int], tuple[Any, ...]]
"""The number of a step to its batch."""
Objective = Callable[..., jax.Array]
"""(variables, *batch) to a scalar loss."""

LEARNING_RATE = 2e-3
RECIPE = {"learning_rate": LEARNING_RATE, "blur": BLUR, "noise": NOISE, "shift": SHIFT}
"""What a trained reader depends on beside its network, its world and its length."""


def worn(world: PictureWorld, batch: int, seed: int) -> Draw:
    """Batches of a world, none of its pictures twice: the worn pictures, what is true of them, the world's numbers."""

    @jax.jit
    def drawn(i: jax.Array) -> tuple[jax.Array, Example, Any]:
        indices = i * batch + jnp.arange(batch)
        images, example = draw(world, indices)
        return wear(images, jax.random.fold_in(jax.random.key(seed), i)), example, world.params(indices).values

    return lambda i: drawn(jnp.int32(i))


def fit(drawn: Draw, variables: Any, objective: Objective, steps: int) -> Any:
    """Trains from `variables` and gives the result (datasets §5.3: Adam 2e-3, cosine)."""
    optimiser = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))

    @jax.jit
    def step(state: Any, *batch: Any) -> Any:
        variables, inner = state
        slopes = jax.grad(objective)(variables, *batch)
        updates, inner = optimiser.update(slopes, inner)
        return optax.apply_updates(variables, updates), inner

    state = (variables, optimiser.init(variables))
    for i in tqdm(range(steps), "training", disable=None):
        state = step(state, *drawn(i))
    return state[0]
