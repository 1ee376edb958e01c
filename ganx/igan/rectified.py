"""The game with a ReLU at the cut (paper, Implementation details: where a family has leaky units)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from ganx.igan.cut import Cut
from ganx.training.game import Game
from ganx.training.players import Players

Tree = Any


@dataclasses.dataclass(frozen=True)
class RectifiedPlayers(Players):
    """Players whose generator has a ReLU after `stage`, in every pass of training.

    Attributes:
      stage: name of the stage; "" for none.
    """

    stage: str = ""

    def _run(self, variables: Tree, names: tuple[str, ...], x: jax.Array, context: Tree) -> tuple[Any, Tree]:
        if self.stage not in names:
            return super()._run(variables, names, x, context)
        there = names.index(self.stage) + 1
        (x, context), stats = super()._run(variables, names[:there], x, context)
        x = jax.nn.relu(x)
        if there == len(names):
            return (x, context), stats
        return super()._run({"params": variables["params"], **stats}, names[there:], x, context)


def rectified(game: Game, cut: Cut) -> Game:
    """The game as the cut wants it played."""
    if not cut.rectify:
        return game
    fields = {field.name: getattr(game.players, field.name) for field in dataclasses.fields(game.players)}
    return dataclasses.replace(game, players=RectifiedPlayers(**fields, stage=cut.stage))
