"""Many images optimised at once, each along its own trajectory.

Adam works element by element and the loss is a mean within one image, so descending the *sum* over images gives each
image what it would have had alone: no `vmap`, no averaging over the batch, no clipping of a global norm.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ganx.training.loops import inner_loop, unrolled

Tree = Any
Objective = Callable[[Tree, Tree], jax.Array]
"""`(variable, data) -> loss [n]`; every leaf has a leading image axis. A pytree, hashable apart from its leaves."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Adam's steps.

    Attributes:
      steps: updates.
      lr: learning rate, halved before each of the updates `halve_at`.
      keep: "best", each image's best point, the start and the end included, or "last".
    """

    steps: int = 3000
    lr: float = 0.01
    halve_at: tuple[int, ...] = (800, 1200, 1800)
    keep: str = "best"

    def adam(self) -> optax.GradientTransformation:
        """The optimiser."""
        return optax.adam(lambda count: self.lr * 0.5 ** sum((count >= at) * 1.0 for at in self.halve_at))


@dataclasses.dataclass(frozen=True)
class Descended:
    """Where it led.

    Attributes:
      variable: as `start`.
      first, last: loss of each image at the start and for `variable`, `[n]`.
      log: loss of each image before every update, `[steps, n]`.
    """

    variable: Tree
    first: jax.Array
    last: jax.Array
    log: jax.Array


def descend(
    objective: Objective,
    start: Tree,
    data: Tree,
    schedule: Schedule,
    report: Callable[[int], None] | None = None,
    chunk: int = 50,
) -> Descended:
    """Adam on every image at once; `report` hears of the number of updates done.

    `start` is not changed. Whatever is sharded over images stays so, and devices do not talk to each other.
    """
    variable = jax.tree.map(jnp.copy, start)
    first = _loss(objective, variable, data)
    carry = (variable, schedule.adam().init(variable), jax.tree.map(jnp.copy, start), jnp.copy(first))
    chunk, done, logs = 1 if unrolled() else chunk, 0, []
    while done < schedule.steps:
        length = min(chunk, schedule.steps - done)
        carry, log = _advance(objective, carry, data, schedule, length)
        done += length
        logs.append(log)
        if report:
            report(done)
    variable, _, best, least = carry
    last = _loss(objective, variable, data)
    log = jnp.concatenate(logs) if logs else jnp.zeros((0, len(first)), first.dtype)
    if schedule.keep == "last":
        return Descended(variable, first, last, log)
    best, least = _better((variable, last), (best, least))
    return Descended(best, first, least, log)


@jax.jit
def _loss(objective: Objective, variable: Tree, data: Tree) -> jax.Array:
    return objective(variable, data)


@functools.partial(jax.jit, static_argnums=(3, 4), donate_argnums=1)
def _advance(objective: Objective, carry: Tree, data: Tree, schedule: Schedule, length: int) -> tuple[Tree, jax.Array]:
    adam = schedule.adam()

    def total(variable: Tree) -> tuple[jax.Array, jax.Array]:
        loss = objective(variable, data)
        return loss.sum(), loss

    def body(carry: Tree, _: None) -> tuple[Tree, jax.Array]:
        variable, memory, best, least = carry
        slope, loss = jax.grad(total, has_aux=True)(variable)
        best, least = _better((variable, loss), (best, least))
        updates, memory = adam.update(slope, memory, variable)
        return (optax.apply_updates(variable, updates), memory, best, least), loss

    return inner_loop(body, carry, length=length)


def _better(new: tuple[Tree, jax.Array], old: tuple[Tree, jax.Array]) -> tuple[Tree, jax.Array]:
    """Image by image, whichever has the smaller loss."""
    better = new[1] < old[1]
    pick = lambda a, b: jnp.where(better.reshape(better.shape + (1,) * (a.ndim - 1)), a, b)  # noqa: E731
    return jax.tree.map(pick, new[0], old[0]), jnp.where(better, new[1], old[1])


def lbfgs(objective: Objective, start: Tree, data: Tree, steps: int, history: int = 10, search: int = 10) -> Descended:
    """L-BFGS with a Wolfe line search of at most `search` steps, one search an image.

    The images' searches run side by side until the slowest is done. Each image's best point is kept.
    """
    variable, first, last, log = _lbfgs(objective, start, data, steps, history, search)
    return Descended(variable, first, last, log.T)


@functools.partial(jax.jit, static_argnums=(3, 4, 5))
def _lbfgs(objective: Objective, start: Tree, data: Tree, steps: int, history: int, search: int) -> Any:
    def alone(variable: Tree, data: Tree) -> Any:
        def loss(variable: Tree) -> jax.Array:
            one = functools.partial(jax.tree.map, lambda leaf: leaf[None])
            return objective(one(variable), one(data))[0]

        return _lbfgs_one(loss, variable, steps, history, search)

    return jax.vmap(alone)(start, data)


def _lbfgs_one(loss: Callable[[Tree], jax.Array], start: Tree, steps: int, history: int, search: int) -> Any:
    line = optax.scale_by_zoom_linesearch(search, slope_rtol=1e-4, curv_rtol=0.9, initial_guess_strategy="one")
    solver = optax.lbfgs(memory_size=history, linesearch=line)
    value_and_grad = optax.value_and_grad_from_state(loss)

    def body(carry: Tree, _: None) -> tuple[Tree, jax.Array]:
        variable, memory, best, least = carry
        value, slope = value_and_grad(variable, state=memory)
        best, least = _pick(value < least, variable, best), jnp.minimum(value, least)
        updates, memory = solver.update(slope, memory, variable, value=value, grad=slope, value_fn=loss)
        return (optax.apply_updates(variable, updates), memory, best, least), value

    first = loss(start)
    carry = (start, solver.init(start), start, first)
    # rolled up everywhere: the line search is a `while` loop already, and unrolling many of those takes long to compile
    (variable, _, best, least), log = jax.lax.scan(body, carry, length=steps)
    last = loss(variable)
    return _pick(last < least, variable, best), first, jnp.minimum(last, least), log


def _pick(better: jax.Array, a: Tree, b: Tree) -> Tree:
    return jax.tree.map(lambda a, b: jnp.where(better, a, b), a, b)
