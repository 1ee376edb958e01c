"""What one adversarial run carries from step to step."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import optax

Tree = Any


@dataclasses.dataclass(frozen=True)
class Net:
    """One network in training: its parameters, every other collection, and its optimiser's state."""

    params: Tree
    stats: Tree
    opt: Tree

    def update(self, grads: Tree, optimiser: optax.GradientTransformation) -> Net:
        """One step of the optimiser."""
        updates, opt = optimiser.update(grads, self.opt, self.params)
        return dataclasses.replace(self, params=optax.apply_updates(self.params, updates), opt=opt)

    @property
    def variables(self) -> Tree:
        """Everything that `module.apply` wants."""
        return {"params": self.params, **self.stats}


@dataclasses.dataclass(frozen=True)
class State:
    """All that the next step needs.

    `key` never changes: every draw folds it with `step`. `ema` is the averaged generator as whole variables.
    `last` holds the latest value of each lazy penalty, `path_mean` the running mean path length, `ada` the state of
    the augmentation's controller, () without augmentation.
    """

    step: jax.Array
    key: jax.Array
    g: Net
    d: Net
    ema: Tree
    path_mean: jax.Array
    last: dict[str, jax.Array]
    ada: Any = ()


jax.tree_util.register_dataclass(Net, ["params", "stats", "opt"], [])
jax.tree_util.register_dataclass(State, ["step", "key", "g", "d", "ema", "path_mean", "last", "ada"], [])


def new_net(variables: Tree, optimiser: optax.GradientTransformation) -> Net:
    """A network about to be trained."""
    stats = {k: v for k, v in variables.items() if k != "params"}
    return Net(variables["params"], stats, optimiser.init(variables["params"]))
