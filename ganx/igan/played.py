"""The game with hybrids among the images that D sees."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from ganx.igan.cut import Cut
from ganx.training.game import Game
from ganx.training.keys import named
from ganx.training.mesh import shard_batch
from ganx.training.players import Label, Players

Tree = Any


@dataclasses.dataclass(frozen=True)
class CutPlayers(Players):
    """Players whose generator is cut open in training.

    Attributes:
      cut: where.
      hybrids: share of the fakes, D's and G's, that are hybrids (ours; see `hybrid`).
      groups: number of groups.
      grouping: group of every filter, int32 `[m]`; None while there are no groups, and no hybrids.
    """

    cut: Cut = Cut("")  # noqa: RUF009
    hybrids: float = 0.0
    groups: int = 1
    grouping: jax.Array | None = None

    def fakes(self, params: Tree, stats: Tree, key: jax.Array, n: int, label: Label = None) -> tuple[jax.Array, Tree]:
        """As `Players.fakes`, some of them hybrids."""
        if not self.hybrids or self.grouping is None:
            return super().fakes(params, stats, key, n, label)
        x, context, stats = self.codes(params, stats, key, n, label)
        names = self.generator.stage_names()
        there = names.index(self.cut.stage) + 1
        if there > 1:  # the first stage has run
            (x, context), stats = self._run({"params": params, **stats}, names[1:there], x, context)
        x = hybrid(x, shard_batch(self._taken(named(key, "hybrids"), n, self.grouping), self.mesh))
        (image, _), stats = self._run({"params": params, **stats}, names[there:], x, context)
        return image, stats

    def _taken(self, key: jax.Array, n: int, grouping: jax.Array) -> jax.Array:
        """Which filters each of `n` images takes from its donor, bool `[n, m]`: whole groups, few or many."""
        which_key, share_key, group_key = jax.random.split(key, 3)
        mixed = jax.random.uniform(which_key, (n, 1)) < self.hybrids
        share = jax.random.uniform(share_key, (n, 1))
        return (mixed & (jax.random.uniform(group_key, (n, self.groups)) < share))[:, grouping]


def hybrid(features: jax.Array, taken: jax.Array) -> jax.Array:
    """Features `[n, h, w, m]` that have the filters `taken`, bool `[n, m]`, from the next image of the batch.

    D sees what later layers make of them, so that a generator must draw images that keep their sense when groups
    are exchanged: parts must not be shared between groups (ours; the paper trains on whole images alone).
    """
    return jnp.where(taken[:, None, None], jnp.roll(features, -1, 0), features)


def played_at(game: Game, cut: Cut, groups: int, hybrids: float) -> Game:
    """The game with a share of hybrids at a cut, if any; without groups yet, see `with_groups`."""
    if not hybrids:
        return game
    fields = {field.name: getattr(game.players, field.name) for field in dataclasses.fields(game.players)}
    return dataclasses.replace(game, players=CutPlayers(**fields, cut=cut, groups=groups, hybrids=hybrids))


def with_groups(game: Game, grouping: jax.Array) -> Game:
    """The game with the groups as they are, int32 `[m]`."""
    if not isinstance(game.players, CutPlayers):
        return game
    return dataclasses.replace(game, players=dataclasses.replace(game.players, grouping=grouping))
