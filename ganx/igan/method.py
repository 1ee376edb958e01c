"""Interpretability training as a method: GAN steps, and now and then an update of groups, W and G (paper, Algorithm).

    config = ganx.igan.config.igan_config()      # config.method is "igan"
    ganx train --config configs/igan/faces32.py --init runs/wide --workdir runs/concepts

T GAN steps come before every update, and the run's state is the game's with a `Memory` beside it, so that
checkpoints, resuming and averaging are those of any other run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data.example import SourceSpec
from ganx.errors import GanxError
from ganx.gan import Gan, Spec
from ganx.igan.cut import Cut, choose_cut, rectified
from ganx.igan.guidance import usual_norm
from ganx.igan.partition import hold
from ganx.igan.played import played_at, with_groups
from ganx.igan.rules import build_rules
from ganx.igan.state import IganState, new_memory, with_memory
from ganx.igan.update import MONITORS, PREFIX, Interpreter
from ganx.models import describe, init_generator
from ganx.training.adversarial import as_method, build_game
from ganx.training.loops import when
from ganx.training.mesh import check_batch
from ganx.training.method import Batch, Method, Metrics, Span


def spans(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> list[Span]:
    """Interpretability training, and then the steps in which the GAN is left to settle: their program has no updates.

    Raises:
      GanxError: as for `adversarial.build_game`; a cut or a rule that is not possible; at the start, no GAN to start
        from, or features that can be negative.
    """
    trainer = build_trainer(config, data, mesh)
    base = as_method(trainer.interpreter.game, config, data)
    alone = dataclasses.replace(
        base,
        init=lambda key: trainer.init(key, data.shape),
        step=trainer.settle,
        start=lambda state: _start(config, base, trainer, state),
    )
    guided = dataclasses.replace(alone, step=trainer.step, lazy={**base.lazy, "interpret": config.igan.every})
    end = config.steps - config.igan.settle
    return [Span(guided, 0, end), Span(alone, end, None, end)] if config.igan.settle else [Span(guided)]


@dataclasses.dataclass(frozen=True)
class Trainer:
    """The pure functions of one run."""

    interpreter: Interpreter

    def init(self, key: jax.Array, image_shape: tuple[int, ...]) -> IganState:
        """A fresh state."""
        maker = self.interpreter
        height, width, filters = dict(zip(maker.spec.stages, maker.spec.shapes, strict=True))[maker.cut.stage]
        memory = new_memory(height * width, filters, maker.rules.groups)
        last = {PREFIX + name: jnp.zeros(()) for name in MONITORS}
        return with_memory(maker.game.init(key, image_shape), memory, last)

    def step(self, state: IganState, batch: Batch, due: Mapping[str, Any]) -> tuple[IganState, Metrics]:
        """An update if it is its turn, then the GAN's step, whose average of G takes it in."""
        maker = self.interpreter
        state = when(due["interpret"], self._update, lambda state: state, state)
        after, metrics = maker.playing(state).step(state, batch, due)
        usual = usual_norm(state.igan.usual_norm, metrics["grad_g"], maker.rules.guidance)
        memory = dataclasses.replace(state.igan, usual_norm=usual)
        return dataclasses.replace(cast(IganState, after), igan=memory), metrics

    def settle(self, state: IganState, batch: Batch, due: Mapping[str, Any]) -> tuple[IganState, Metrics]:
        """The GAN's step alone."""
        game = with_groups(self.interpreter.game, state.igan.partition.labels)
        after, metrics = game.step(state, batch, due)
        return cast(IganState, after), metrics

    def _update(self, state: IganState) -> IganState:
        maker = self.interpreter
        active = maker.rules.alternation.active(state.step, state.igan.updates)
        new = maker(state)
        changed = {name: _choose(active, getattr(new, name), getattr(state, name)) for name in ("g", "igan", "last")}
        return dataclasses.replace(state, **changed)


def build_trainer(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Trainer:
    """Checks a configuration and builds what a run is made of."""
    rules, game = build_rules(config), build_game(config, data, mesh)
    if mesh is not None:
        check_batch(rules.latents, mesh)
        check_batch(min(rules.partition.images, rules.partition.batch), mesh)
    spec = _spec(config, game.players.generator, data)
    cut = choose_cut(_hollow(game.players.generator, spec), config.igan.stage)
    if config.igan.rectify:
        generator = rectified(game.players.generator, cut.stage)
        game = dataclasses.replace(game, players=dataclasses.replace(game.players, generator=generator))
    game = played_at(game, cut, rules.groups, rules.hybrids)
    return Trainer(Interpreter(game, spec, cut, rules))


def _spec(config: ConfigDict, generator: Any, data: SourceSpec) -> Spec:
    variables = jax.eval_shape(lambda key: init_generator(generator, key), jax.random.key(0))
    return describe(config.model.family, generator, variables, data.name)


def _hollow(generator: Any, spec: Spec) -> Gan:
    return Gan(generator, {}, spec)


def _choose(flag: jax.Array, new: Any, old: Any) -> Any:
    return hold(flag, new, old)


def _start(config: ConfigDict, base: Method, trainer: Trainer, state: IganState) -> IganState:
    """Puts the trained GAN's weights into a fresh state, and sees whether the energy can work on its features."""
    if base.start is None:
        raise GanxError("interpretability training starts from a trained GAN; give one with --init GAN")
    started = base.start(state)
    # a GAN saved without live weights gives G and the average the same arrays, which cannot both be given away
    started = dataclasses.replace(started, ema=jax.tree.map(jnp.copy, started.ema))
    if config.igan.reset_d:
        started = dataclasses.replace(started, d=state.d)
    maker = trainer.interpreter
    gan = Gan(maker.game.players.generator, started.g.variables, maker.spec)
    least = _least(gan, maker.cut, started.key)
    if least < 0:
        raise GanxError(
            f"features after {maker.cut.stage!r} can be negative, which the energy does not allow; "
            "set --config.igan.rectify=True, and some --config.igan.recover steps for the GAN to get used to it"
        )
    return started


def _least(gan: Gan, cut: Cut, key: jax.Array) -> float:
    """The smallest feature among a few samples."""
    key = jax.random.fold_in(key, 0)
    features = cut.lower(gan, gan.latents(key, 4), label=gan.labels(key, 4)).features
    return float(features.min())
