"""Lazy penalties (Karras et al. 2020, appendix B): now and then, times their interval, in a step of their own."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax

from ganx.training import penalties
from ganx.training.accumulation import accumulate
from ganx.training.mesh import shard_batch
from ganx.training.players import Label, look
from ganx.training.state import State

if TYPE_CHECKING:
    from ganx.training.game import Game

Tree = Any


def r1_step(game: Game, state: State, real: dict[str, Any], key: jax.Array) -> State:
    """R1 (Mescheder et al. 2018) on real images ("image", "label"), augmented as D sees them."""
    p = state.ada.p if game.controller else None

    def gradient(stats: Tree, real: dict[str, Any], key: jax.Array) -> tuple[Tree, tuple[Tree, jax.Array]]:
        critic = game.players.critic(stats, real["label"], look(key, "look", p))

        def objective(params: Tree) -> jax.Array:
            return penalties.gradient_penalty(critic, penalties.r1, params, real["image"])

        value, grads = jax.value_and_grad(objective)(state.d.params)
        return grads, (stats, value)

    grads, _, values = accumulate(gradient, state.d.params, state.d.stats, real, key, game.accumulate)
    d = state.d.update(_scaled(game.cleaned(grads), game.r1_gamma * game.r1_every), game.d_opt)
    return dataclasses.replace(state, d=d, last={**state.last, "r1": values.mean()})


def path_length_step(game: Game, state: State, label: Label, key: jax.Array) -> State:
    """Path length regularisation (Karras et al. 2020, eq. 4), on a part of the batch; `label` is that of the reals."""
    players, stats, params = game.players, state.g.stats, state.g.params
    code_key, noise_key = jax.random.split(key)
    n = max(1, game.batch // game.accumulate // game.path_shrink)
    label = None if label is None else shard_batch(game.fake_label(key, label[:n]), players.mesh)
    ws, context, _ = players.codes(params, stats, code_key, n, label)

    def images(params: Tree, ws: jax.Array) -> jax.Array:
        return players.synthesise(params, stats, ws, context)

    def codes(params: Tree) -> jax.Array:
        return players.codes(params, stats, jax.random.clone(code_key), n, label)[0]

    shape = jax.eval_shape(images, params, ws).shape
    noise = shard_batch(jax.random.normal(noise_key, shape), players.mesh)
    (value, mean), grads = penalties.path_length(images, codes, params, noise, state.path_mean)
    g = state.g.update(_scaled(game.cleaned(grads), game.path_weight * game.path_every), game.g_opt)
    return dataclasses.replace(state, g=g, path_mean=mean, last={**state.last, "path_length": value})


def _scaled(tree: Tree, factor: float) -> Tree:
    return jax.tree.map(lambda leaf: factor * leaf, tree)
