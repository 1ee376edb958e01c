"""What children are judged by: quality, diversity, and who survives (Wang et al. 2019, §3.4 and Alg. 1)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ganx.training.losses import Loss
from ganx.training.players import Label, Players

Tree = Any

FLOOR = 1e-30
"""Least squared norm of D's gradient: keeps the logarithm finite where D's loss is flat to the last bit."""


class Fitness(NamedTuple):
    """Of one child (scalars) or of all (`[C]`): `total` = `quality` + gamma `diversity`, higher is better.

    `quality` is E sigmoid(D(G(z))), in (0, 1) (eq. 6); `diversity` is -log ||grad_w L_D||, unbounded (eq. 7).
    """

    total: jax.Array
    quality: jax.Array
    diversity: jax.Array


def real_half(players: Players, d: Any, loss: Loss, real: jax.Array, label: Label) -> Tree:
    """The gradient, in D's parameters, of the part of D's loss that real samples have.

    The two parts are separate passes through D, each with batch statistics of its own, and their gradients add up. This
    one is the same for all children of a generation.
    """

    def objective(params: Tree) -> jax.Array:
        verdict = players.judge(params, d.stats, real, label)
        return loss.discriminator(verdict.logits, jnp.zeros_like(verdict.logits)) + verdict.wrong

    return jax.grad(objective)(d.params)


def fake_half(players: Players, d: Any, loss: Loss, fake: jax.Array, label: Label) -> tuple[Tree, jax.Array]:
    """Likewise for generated samples, and their logits `[E]`."""

    def objective(params: Tree) -> tuple[jax.Array, jax.Array]:
        verdict = players.judge(params, d.stats, fake, label)
        return loss.discriminator(jnp.zeros_like(verdict.logits), verdict.logits) + verdict.wrong, verdict.logits

    return jax.grad(objective, has_aux=True)(d.params)


def evaluate(
    players: Players, d: Any, loss: Loss, real_grads: Tree, fake: jax.Array, label: Label, gamma: float
) -> Fitness:
    """The fitness of the child that made `fake` `[E, ...]` of classes `label` (or None), against the frozen `d`.

    Args:
      real_grads: from `real_half`; the discriminator's loss must be a sum of a real and a fake part.
      gamma: weight of the diversity, for the norm itself. The Theano release takes the logarithm of its square: its
        beta is gamma / 2.
    """
    fake_grads, logits = fake_half(players, d, loss, jax.lax.stop_gradient(fake), label)
    quality = jax.nn.sigmoid(logits).mean()
    diversity = -0.5 * jnp.log(jnp.maximum(squared_norm(jax.tree.map(jnp.add, real_grads, fake_grads)), FLOOR))
    return Fitness(quality + gamma * diversity, quality, diversity)


def squared_norm(tree: Tree) -> jax.Array:
    """Sum of squares over all leaves, in float32 or finer."""
    leaves = [leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)) for leaf in jax.tree.leaves(tree)]
    return jnp.stack([jnp.square(leaf).sum() for leaf in leaves]).sum()


def survivors(total: jax.Array, count: int) -> jax.Array:
    """Indices int32 `[count]` of the fittest, best first; of equals the first, and NaN counts as worst."""
    ranked = jnp.where(jnp.isnan(total), -jnp.inf, total)
    return jax.lax.top_k(ranked, count)[1].astype(jnp.int32)
