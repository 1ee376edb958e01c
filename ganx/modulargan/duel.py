"""Several updates of one side, then one of the other, in one jitted step: the training that all systems here share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ganx.training.loops import inner_loop
from ganx.training.method import Metrics
from ganx.training.state import Net

Tree = Any
Loss = Callable[[Tree, Tree, dict[str, jax.Array], jax.Array], tuple[jax.Array, tuple[Metrics, Tree]]]
"""`(own variables, the other's variables, batch, key) -> (loss, (metrics, own new statistics))`."""

SCHEDULES = ("paper", "released", "constant")


@dataclasses.dataclass(frozen=True)
class DuelState:
    """All that the next step needs; `ema` is the averaged generator side as whole variables."""

    step: jax.Array
    key: jax.Array
    g: Net
    d: Net
    ema: Tree


jax.tree_util.register_dataclass(DuelState, ["step", "key", "g", "d", "ema"], [])


@dataclasses.dataclass(frozen=True)
class Duel:
    """A generator side and a critic side.

    Attributes:
      g_loss, d_loss: what each side minimises. The batch holds one update's examples, split off the step's.
      g_opt, d_opt: optimisers.
      batch: examples of one update.
      d_steps: the critics' updates in a step; the other side's update sees the last one's examples.
      decay: of the averaged generator side; 0 for a copy.
      g_train, d_train: entries of the parameters that are trained. The others carry gradients through but get none,
        and stay what they are, bit for bit. None for all.
    """

    g_loss: Loss
    d_loss: Loss
    g_opt: optax.GradientTransformation
    d_opt: optax.GradientTransformation
    batch: int
    d_steps: int
    decay: float = 0.999
    g_train: Collection[str] | None = None
    d_train: Collection[str] | None = None

    def init(self, key: jax.Array, g_variables: Tree, d_variables: Tree) -> DuelState:
        """A fresh state from fresh variables."""
        g = self._net(g_variables, self.g_opt, self.g_train)
        d = self._net(d_variables, self.d_opt, self.d_train)
        return DuelState(jnp.zeros((), jnp.int32), key, g, d, jax.tree.map(jnp.copy, g_variables))

    def step(self, state: DuelState, batch: Mapping[str, jax.Array]) -> tuple[DuelState, Metrics]:
        """One superstep on `batch`, whose leaves hold `d_steps * batch` examples."""
        key = jax.random.fold_in(state.key, state.step)
        parts = {k: v.reshape(self.d_steps, self.batch, *v.shape[1:]) for k, v in batch.items()}
        keys = jax.random.split(key, self.d_steps + 1)

        def critic(d: Net, x: tuple[dict[str, jax.Array], jax.Array]) -> tuple[Net, Metrics]:
            return _update(d, self.d_loss, state.g.variables, *x, self.d_opt, self.d_train)

        d, seen = inner_loop(critic, state.d, (parts, keys[:-1]))
        last = {k: v[-1] for k, v in parts.items()}
        g, metrics = _update(state.g, self.g_loss, d.variables, last, keys[-1], self.g_opt, self.g_train)
        metrics = {**jax.tree.map(lambda m: m[-1], seen), **metrics}
        return DuelState(state.step + 1, state.key, g, d, self._averaged(state.ema, g)), metrics

    def _net(self, variables: Tree, optimiser: optax.GradientTransformation, names: Collection[str] | None) -> Net:
        stats = {k: v for k, v in variables.items() if k != "params"}
        moving, _ = split(variables["params"], names)
        return Net(variables["params"], stats, optimiser.init(moving))

    def _averaged(self, ema: Tree, g: Net) -> Tree:
        old, still = split(ema["params"], self.g_train)
        new, _ = split(g.params, self.g_train)
        return {**g.stats, "params": {**still, **optax.incremental_update(new, old, 1.0 - self.decay)}}


def split(params: Tree, names: Collection[str] | None) -> tuple[Tree, Tree]:
    """Entries that are trained, and the rest."""
    moving = {k: v for k, v in params.items() if names is None or k in names}
    return moving, {k: v for k, v in params.items() if k not in moving}


def _update(
    net: Net,
    loss: Loss,
    other: Tree,
    batch: dict[str, jax.Array],
    key: jax.Array,
    optimiser: optax.GradientTransformation,
    names: Collection[str] | None,
) -> tuple[Net, Metrics]:
    moving, still = split(net.params, names)

    def objective(moving: Tree) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        return loss({"params": {**still, **moving}, **net.stats}, other, batch, key)

    (_, (metrics, stats)), grads = jax.value_and_grad(objective, has_aux=True)(moving)
    updates, opt = optimiser.update(grads, net.opt, moving)
    params = {**still, **optax.apply_updates(moving, updates)}
    return Net(params, {**net.stats, **stats}, opt), metrics


def adam(net: Any, kind: str, steps: int, per_step: int) -> optax.GradientTransformation:
    """Adam under a schedule; `net` holds lr, b1, b2, eps. `per_step` is how often it is called in one of `steps`."""
    rate = schedule(kind, net.lr, steps * per_step) if kind != "constant" else net.lr
    return optax.adam(rate, net.b1, net.b2, net.eps)


def schedule(kind: str, lr: float, total: int) -> Callable[[Any], jax.Array]:
    """Learning rate by update.

    "paper" is constant for the first half of `total`, then falls linearly to 0. "released" is what StarGAN's code
    does: lr / (total / 2) is taken off once in a thousand updates of the second half, so it falls by a thousandth.
    """
    half = max(total / 2, 1.0)

    def rate(count: Any) -> jax.Array:
        late = jnp.maximum(jnp.asarray(count, jnp.float32) - half, 0.0)
        taken = late if kind == "paper" else jnp.floor(late / 1000.0)
        return lr * jnp.maximum(1.0 - taken / half, 0.0)

    return rate
