"""Islands: populations with a discriminator and examples of their own, whose best members travel around a ring.

Not in the paper; what spatially distributed GAN trainers (Lipizzaner, Mustangs) do. Over several devices each computes
its share of the islands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ganx.egan.generation import Generation
from ganx.egan.mapping import Mapping as Members
from ganx.egan.population import Population, take
from ganx.training.method import Batch, Metrics

Tree = Any


@dataclasses.dataclass(frozen=True)
class Islands:
    """`count` runs of one `generation` beside each other.

    The state is a `Population` whose leaves have a first axis of that size, but for `step`, which all islands share.
    `every`: generations between two migrations, 0 for never.
    """

    generation: Generation
    count: int
    every: int
    map: Members

    @property
    def images(self) -> int:
        """Real examples that a generation of all islands takes."""
        return self.count * self.generation.images

    def init(self, key: jax.Array, shape: tuple[int, ...]) -> Population:
        """The first generation of every island, each from a key of its own."""
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(self.count))
        return _joined(jax.vmap(lambda key: self.generation.init(key, shape))(keys))

    def step(self, state: Population, batch: Batch, due: Mapping[str, Any]) -> tuple[Population, Metrics]:
        """The next generation; metrics are means over the islands, the best fitness is also told."""
        names = ("image", "label") if self.generation.players.classes else ("image",)
        parts = {k: batch[k].reshape(self.count, -1, *batch[k].shape[1:]) for k in names}

        def island(member: tuple[Population, Batch], mesh: Any) -> tuple[Population, Metrics]:
            players = dataclasses.replace(self.generation.players, mesh=mesh)
            local = dataclasses.replace(self.generation, players=players)
            return local.step(*member, due)

        apart, metrics = self.map(island, (self._apart(state), parts))
        top = {"fitness_of_best_island": metrics["fitness"].max()}
        return self.migrate(_joined(apart)), {**jax.tree.map(lambda x: x.mean(0), metrics), **top}

    def migrate(self, state: Population) -> Population:
        """When it is time, the best member of every island replaces the worst survivor of the next."""
        if not self.every:
            return state
        now = state.step % self.every == 0

        def settle(leaf: jax.Array) -> jax.Array:
            return jnp.where(now, leaf.at[:, -1].set(jnp.roll(leaf[:, 0], 1, 0)), leaf)

        moved = jax.tree.map(settle, (state.members, state.ema))
        return dataclasses.replace(state, members=moved[0], ema=moved[1], fitness=settle(state.fitness))

    def best(self, state: Population) -> Population:
        """The island whose best member is the fittest."""
        return take(self._apart(state), jnp.argmax(state.fitness[:, 0]))

    def _apart(self, state: Population) -> Population:
        """With a step for each island, as `Generation` wants it."""
        return dataclasses.replace(state, step=jnp.broadcast_to(state.step, (self.count,)))


def _joined(apart: Population) -> Population:
    return dataclasses.replace(apart, step=apart.step[0])
