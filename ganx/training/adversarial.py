"""The adversarial method: a configuration becomes a game of one generator and one discriminator."""

from __future__ import annotations

import functools
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data.example import SourceSpec
from ganx.data.feed import no_classes
from ganx.errors import GanxError
from ganx.gan import Gan, Spec
from ganx.models import (
    accepts,
    build_discriminator,
    build_generator,
    conditional_families,
    describe,
    init_generator,
)
from ganx.training.ada import Controller, augment, get_policy
from ganx.training.averaging import BUFFERS, Averaging
from ganx.training.config import check_choice
from ganx.training.game import Game
from ganx.training.losses import LOSSES, loss
from ganx.training.mesh import check_batch
from ganx.training.method import Method
from ganx.training.optimiser import adam
from ganx.training.players import Augment, Players
from ganx.training.state import State
from ganx.training.transfer import Ancestor, ancestor

FAKE_LABELS = ("uniform", "data")


def adversarial(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Method:
    """The method that a configuration describes, for images of the given source."""
    return as_method(build_game(config, data, mesh), config, data)


def as_method(game: Game, config: ConfigDict, data: SourceSpec) -> Method:
    """A game that was built from a configuration, as what the loop trains."""
    generator, discriminator = game.players.generator, game.players.discriminator
    spec: list[Spec] = []  # found at the first call, since it needs the variables' shapes

    def gan(state: State) -> Gan:
        if not spec:
            spec.append(describe(config.model.family, generator, state.ema, data.name))
        return Gan(generator, state.ema, spec[0])

    def sample(state: State, key: jax.Array, n: int) -> jax.Array:
        handle = gan(state)
        return handle(handle.latents(key, n), label=handle.labels(key, n))

    return Method(
        init=lambda key: game.init(key, data.shape),
        step=game.step,
        sample=sample,
        gan=gan,
        critic=lambda state: (discriminator, state.d.variables),
        images=config.batch * config.d_steps,
        lazy=game.lazy(),
        labels=config.model.conditional,
        start=ancestor(config.init, config.model.family).start if config.init else None,
    )


def build_game(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Game:
    """Checks a configuration and builds its networks, optimisers and losses.

    Raises:
      GanxError: an unknown name, an option that the family does not have, images that are not square, a source
        without the labels that are asked for, a saved GAN of another architecture.
    """
    check_choice("loss", config.loss, LOSSES)
    check_choice("fake_labels", config.fake_labels, FAKE_LABELS)
    check_choice("ema_buffers", config.ema_buffers, BUFFERS)
    _check_batch(config, mesh)
    ema = Averaging(config.batch, config.ema_kimg, config.ema_rampup, config.ema_start, config.ema_buffers)
    return Game(
        players=_players(config, data, mesh),
        loss=loss(config.loss),
        g_opt=adam(config.g, config.path_length.every if config.path_length.weight else 1),
        d_opt=adam(config.d, config.r1.every if config.r1.gamma else 1),
        averaging=ema,
        batch=config.batch,
        d_steps=config.d_steps,
        share_fakes=config.share_fakes,
        drift=config.drift,
        gp_weight=config.gradient_penalty.weight,
        r1_gamma=config.r1.gamma,
        r1_every=config.r1.every,
        path_weight=config.path_length.weight,
        path_every=config.path_length.every,
        path_shrink=config.path_length.shrink,
        fake_labels=config.fake_labels,
        accumulate=config.accumulate,
        clean=config.clean_gradients,
        controller=_controller(config),
    )


def _players(config: ConfigDict, data: SourceSpec, mesh: Mesh | None) -> Players:
    check_choice("dtype", config.dtype, ("float32", "bfloat16"))
    if len(data.shape) != 3:
        raise GanxError(f"{data.name} gives points of shape {list(data.shape)}, not images; choose a source of images")
    height, width, _ = data.shape
    if height != width:
        raise GanxError(f"{data.name} gives {height} x {width} images; add ?crop=center-square&size=N to the source")
    shared = _shared_options(config, data)
    generator, discriminator = _networks(config, shared)
    if generator.stage_names()[0] != "map" and (config.path_length.weight or config.style_mixing):
        raise GanxError(
            f"{config.model.family} has no style codes; set config.path_length.weight and config.style_mixing to 0"
        )
    return Players(generator, discriminator, config.style_mixing, mesh, _augment(config, mesh))


def _shared_options(config: ConfigDict, data: SourceSpec) -> dict[str, Any]:
    """What the data and the configuration say about both networks."""
    height, _, channels = data.shape
    shared = {"resolution": height, "channels": channels, "dtype": config.dtype}
    if not config.model.conditional:
        return shared
    if not data.classes:
        raise no_classes(data)
    able = conditional_families()
    if config.model.family not in able:
        raise GanxError(
            f"{config.model.family} cannot be conditioned on classes; set config.model.conditional to False, "
            f"or choose from: {', '.join(able)}"
        )
    return {**shared, "classes": data.classes}


def _networks(config: ConfigDict, shared: dict[str, Any]) -> tuple[Any, Any]:
    """Generator and discriminator: those of `config.init` where there are any."""
    known = ancestor(config.init, config.model.family) if config.init else None
    if known:
        _check_images(known, known.module("generator", {"dtype": config.dtype}), shared)
    return _network(config, known, "generator", shared), _network(config, known, "discriminator", shared)


def _network(config: ConfigDict, known: Ancestor | None, part: str, shared: dict[str, Any]) -> Any:
    family, options = config.model.family, config.model[part].to_dict()
    if known and part in known.fields:
        known.check_options(part, options, shared)
        return known.module(part, {**options, "dtype": config.dtype})
    fitting = {k: v for k, v in shared.items() if accepts(family, part, k)}
    build = build_generator if part == "generator" else build_discriminator
    return build(family, {**fitting, **options})


def _check_images(known: Ancestor, generator: Any, shared: dict[str, Any]) -> None:
    """Refuses a saved generator of other images than the data's."""
    variables = jax.eval_shape(lambda key: init_generator(generator, key), jax.random.key(0))
    spec = describe(known.family, generator, variables)
    for name in ("resolution", "channels", "classes"):
        known.check(name, getattr(spec, name), shared.get(name, 0))


def _augment(config: ConfigDict, mesh: Mesh | None) -> Augment | None:
    if not config.augment.policy:
        return None
    return functools.partial(augment, policy=get_policy(config.augment.policy), mesh=mesh)


def _controller(config: ConfigDict) -> Controller | None:
    """What moves the probability of the augmentation; with `kimg` 0 it stays at `p`."""
    a = config.augment
    if not a.policy:
        return None
    return Controller(config.batch, a.p, a.target if a.kimg else None, a.kimg, a.every)


def _check_batch(config: ConfigDict, mesh: Mesh | None) -> None:
    parts = config.accumulate
    if parts < 1 or config.batch % parts:
        raise GanxError(f"a batch of {config.batch} does not divide into {parts} parts; change --config.accumulate")
    if parts > 1 and config.share_fakes:
        raise GanxError("accumulation needs fresh fakes for the generator; set --config.share_fakes=False")
    if mesh is not None:
        check_batch(config.batch, mesh)
    if mesh is not None and config.batch // parts % mesh.size:
        raise GanxError(
            f"parts of {config.batch // parts} images do not divide over {mesh.size} devices; "
            "set --config.accumulate lower or --config.batch higher"
        )
