"""What interpretability training carries from step to step, besides the game's own state."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from ganx.igan.partition import Partition
from ganx.igan.weights import initial_weights
from ganx.training.state import State


@dataclasses.dataclass(frozen=True)
class Memory:
    """The energy and the partition as they stand. A pytree.

    Attributes:
      weights: W, float32 `[k, m, c]`.
      partition: the groups; all filters in group 0 before the first update.
      updates: interpretability updates so far, int32.
      usual_norm: running mean of the norm of G's adversarial gradient.
      start_rms: root mean square of the features at the first update.
    """

    weights: jax.Array
    partition: Partition
    updates: jax.Array
    usual_norm: jax.Array
    start_rms: jax.Array


@dataclasses.dataclass(frozen=True)
class IganState(State):
    """A game's state, which the game steps as it would its own, with a `Memory` beside it."""

    igan: Any = None


_GAME = [field.name for field in dataclasses.fields(State)]
_MEMORY = [field.name for field in dataclasses.fields(Memory)]
jax.tree_util.register_dataclass(Memory, _MEMORY, [])
jax.tree_util.register_dataclass(IganState, [*_GAME, "igan"], [])


def new_memory(positions: int, filters: int, groups: int) -> Memory:
    """Before the first update: W = 0 (paper), nothing grouped."""
    partition = Partition(
        labels=jnp.zeros(filters, jnp.int32),
        alive=jnp.ones(filters, bool),
        weights=jnp.full(groups, 1 / groups),
        centres=jnp.zeros((groups, positions)),
        variances=jnp.ones(groups),
        log_likelihood=jnp.zeros(()),
    )
    none = jnp.zeros(())
    return Memory(initial_weights(positions, filters, groups), partition, jnp.int32(0), none, jnp.zeros(()))


def with_memory(state: State, memory: Memory, last: dict[str, jax.Array]) -> IganState:
    """A game's fresh state with a memory, and with `last` values to log from the first step on."""
    fields = {name: getattr(state, name) for name in _GAME}
    return IganState(**{**fields, "last": {**state.last, **last}}, igan=memory)
