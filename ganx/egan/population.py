"""What a population carries from generation to generation."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from ganx.training.state import Net

Tree = Any

TRAIL = 1024
"""Generations whose survivors are remembered one by one."""
WINDOW = 500
"""Generations over which the spread of the fitness terms is averaged."""


@dataclasses.dataclass(frozen=True)
class Population:
    """All that the next generation needs. `key` never changes: every draw folds it with `step`.

    Attributes:
      step: generations so far; int32.
      members: generators with their optimisers' states, best first; leaves have a first axis of size mu.
      ema: the members' averaged variables, carried along with them; () where nothing is averaged.
      d: the discriminator, the population's environment.
      fitness: the members' own, float32 `[mu]`.
      founders: which member of the first generation each descends from, int32 `[mu]`.
      wins: how many survivors each mutation has made so far, int32 `[H]`.
      spread: standard deviations of quality and of diversity among the children of one parent, a mean over
        the last `WINDOW` generations or so, float32 `[2]`.
      trail: which children survived, as `parent * H + mutation`, int32 `[TRAIL, mu]`; generation g stands in row
        g mod `TRAIL`.
    """

    step: jax.Array
    key: jax.Array
    members: Net
    ema: Tree
    d: Net
    fitness: jax.Array
    founders: jax.Array
    wins: jax.Array
    spread: jax.Array
    trail: jax.Array


_FIELDS = [field.name for field in dataclasses.fields(Population)]
jax.tree_util.register_dataclass(Population, _FIELDS, [])


def found(key: jax.Array, members: Net, ema: Tree, d: Net, mutations: int) -> Population:
    """The first generation."""
    mu = len(jax.tree.leaves(members)[0])
    return Population(
        step=jnp.zeros((), jnp.int32),
        key=key,
        members=members,
        ema=ema,
        d=d,
        fitness=jnp.zeros(mu),
        founders=jnp.arange(mu, dtype=jnp.int32),
        wins=jnp.zeros(mutations, jnp.int32),
        spread=jnp.zeros(2),
        trail=jnp.full((TRAIL, mu), -1, jnp.int32),
    )


def take(tree: Tree, index: jax.Array | int) -> Tree:
    """Some members (an index array) or one (a number) of a tree whose leaves have a first axis."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def variables(state: Population, member: int = 0) -> Tree:
    """The averaged variables of a member where there are any, else its own."""
    return take(state.ema or state.members.variables, member)
