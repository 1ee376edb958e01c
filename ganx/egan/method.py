"""E-GAN as a training method: what `config.method = "egan"` means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data.example import SourceSpec
from ganx.egan import options
from ganx.egan.generation import Generation
from ganx.egan.history import History, warning
from ganx.egan.islands import Islands
from ganx.egan.mapping import Mapping as Members
from ganx.egan.points import picture
from ganx.egan.population import Population, variables
from ganx.errors import GanxError
from ganx.gan import Gan, Spec
from ganx.models import build_discriminator, build_generator, describe
from ganx.training.adversarial import build_game
from ganx.training.averaging import Averaging
from ganx.training.losses import loss
from ganx.training.method import Method, Span
from ganx.training.optimiser import adam
from ganx.training.players import Players
from ganx.training.transfer import Ancestor, ancestor, placed

_POINTS = ("mlp",)
"""Families that can draw points."""
_CLOUD = 4096  # points in a picture of them


class _Setup(NamedTuple):
    """What a game's configuration says that does not depend on how generators are bred."""

    players: Players
    loss: Any
    g_opt: Any
    d_opt: Any


def spans(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> list[Span]:
    """What `config.method` stands for: one method for all of a run."""
    return [Span(method(config, data, mesh))]


def method(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Method:
    """The method that a configuration with a group `egan` describes, for images or points of the given source.

    Raises:
      GanxError: as `ganx.training.adversarial.build_game`, and for what E-GAN cannot do.
    """
    options.check(config, mesh)
    generation = build_generation(config, data, mesh)
    many = config.egan.islands > 1
    whole = Islands(generation, config.egan.islands, config.egan.migrate_every, generation.map) if many else None
    spec: list[Spec] = []  # found at the first call, since it needs the variables' shapes

    def one(state: Population) -> Population:
        return whole.best(state) if whole else state

    def gan(state: Population) -> Gan:
        best = variables(one(state))
        if not spec:
            spec.append(describe(config.model.family, generation.players.generator, best, data.name))
        return Gan(generation.players.generator, best, spec[0])

    def sample(state: Population, key: jax.Array, n: int) -> jax.Array:
        handle = gan(state)
        if len(data.shape) == 1:
            return picture(handle(handle.latents(key, _CLOUD)).reshape(_CLOUD, -1))
        return handle(handle.latents(key, n), label=handle.labels(key, n))

    def warn(step: int, metrics: Mapping[str, float]) -> str | None:
        values = {name: np.array([value]) for name, value in metrics.items()}
        egan = config.egan
        return warning(History(np.array([step]), values, tuple(egan.mutations), egan.gamma, egan.selection))

    runs = whole or generation
    return Method(
        init=lambda key: runs.init(key, data.shape),
        step=runs.step,
        sample=sample,
        gan=gan,
        critic=lambda state: (generation.players.discriminator, one(state).d.variables),
        images=runs.images,
        labels=config.model.conditional,
        start=(lambda state: _descend(state, ancestor(config.init, config.model.family))) if config.init else None,
        warn=warn,
    )


def _descend(state: Population, saved: Ancestor) -> Population:
    """A fresh population whose members all have the weights of one saved GAN, and so their averages."""
    members, d = saved.nets(state.members, state.d)
    return dataclasses.replace(
        state, members=members, d=d, ema=placed(state.ema, members.variables if state.ema else ())
    )


def build_generation(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Generation:
    """The pure functions of one population; see `method`."""
    setup = _points(config, data, mesh) if len(data.shape) == 1 else _images(config, data, mesh)
    egan = config.egan
    average = Averaging(config.batch, config.ema_kimg, config.ema_rampup, config.ema_start, config.ema_buffers)
    return Generation(
        players=setup.players,
        loss=setup.loss,
        g_opt=setup.g_opt,
        d_opt=setup.d_opt,
        averaging=average if config.ema_kimg else None,
        map=Members(egan.mapping, mesh, config.model.family in _POINTS),
        batch=config.batch,
        d_steps=config.d_steps,
        gp_weight=config.gradient_penalty.weight,
        gp_on=egan.penalty_on,
        fake_labels=config.fake_labels,
        parents=egan.parents,
        mutations=tuple(egan.mutations),
        gamma=egan.gamma,
        evaluation=egan.evaluation,
        selection=egan.selection,
        variation=egan.variation,
        variation_noise=egan.variation_noise,
        eval_noise=egan.eval_noise,
        d_fakes=egan.d_fakes,
        founders=egan.founders,
    )


def _images(config: ConfigDict, data: SourceSpec, mesh: Mesh | None) -> _Setup:
    game = build_game(config, data, mesh)
    return _Setup(game.players, game.loss, game.g_opt, game.d_opt)


def _points(config: ConfigDict, data: SourceSpec, mesh: Mesh | None) -> _Setup:
    if config.model.family not in _POINTS:
        raise GanxError(
            f"{data.name} gives points, which {config.model.family} cannot draw; set config.model.family=mlp"
        )
    if config.model.conditional or config.init:
        raise GanxError("points are drawn without classes, from fresh networks; leave conditional and init out")
    shape = {"resolution": 1, "channels": data.shape[0], "dtype": config.dtype}
    generator = build_generator("mlp", {**shape, **config.model.generator.to_dict()})
    critic = build_discriminator("mlp", {"dtype": config.dtype, **config.model.discriminator.to_dict()})
    return _Setup(Players(generator, critic, 0.0, mesh), loss(config.loss), adam(config.g), adam(config.d))
