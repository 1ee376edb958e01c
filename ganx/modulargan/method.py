"""The training methods: `config.method = "modulargan"`, and the baselines by `config.modulargan.system`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data.example import SourceSpec
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.models import build_discriminator, build_generator, make_gan
from ganx.models.modular import ENCODER, PREFIX, RECONSTRUCTOR, SOURCE, discriminator_parts
from ganx.modulargan.config import SYSTEMS
from ganx.modulargan.cyclegan import cyclegan
from ganx.modulargan.duel import SCHEDULES, DuelState
from ganx.modulargan.game import ModularGame, Weights
from ganx.modulargan.icgan import icgan
from ganx.modulargan.losses import CLS_LOSSES, REDUCTIONS
from ganx.modulargan.shared import attributes_of, example_images, make_duel, start_state
from ganx.modulargan.stargan import stargan
from ganx.modulargan.store import inherit
from ganx.modulargan.targets import KINDS
from ganx.training.config import check_choice
from ganx.training.mesh import check_batch
from ganx.training.method import Method, Metrics, Span


def spans(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> list[Span]:
    """What `config.method` stands for: one method for all of a run."""
    return [Span(method(config, data, mesh))]


def method(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Method:
    """The method that a configuration describes, for images of the given source.

    Raises:
      GanxError: an unknown name, attributes that the source does not have, an option that the networks do not have.
    """
    check(config, data, mesh)
    return _SYSTEMS[config.modulargan.system](config, data, mesh)


def check(config: ConfigDict, data: SourceSpec, mesh: Mesh | None) -> None:
    """Refuses what no system here can do."""
    options = config.modulargan
    check_choice("modulargan.system", options.system, SYSTEMS)
    check_choice("modulargan.cls_loss", options.cls_loss, CLS_LOSSES)
    check_choice("modulargan.grad_reduce", options.grad_reduce, REDUCTIONS)
    check_choice("modulargan.targets", options.targets, KINDS)
    check_choice("modulargan.schedule", options.schedule, SCHEDULES)
    if len(data.shape) != 3:
        raise GanxError(f"{data.name} has no images; choose a source of images with attributes")
    if mesh is not None:
        check_batch(config.batch, mesh)
    if config.d_steps < 1:
        raise GanxError("the critics need at least one update a step; set --config.d_steps=1")


def modular(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Method:
    """ModularGAN itself, whole or with some parts frozen."""
    generator, discriminator = _networks(config, data)
    g_train, d_train, active = trained(generator, discriminator, config.modulargan.train)
    whole = g_train is None or bool({ENCODER, SOURCE, RECONSTRUCTOR} & set(g_train))
    fields = {name: config.modulargan[name] for name in Weights.__dataclass_fields__}
    game = ModularGame(generator, discriminator, Weights(**fields), active, whole, mesh)
    duel = make_duel(config, game.g_loss, game.d_loss, g_train, d_train)
    content = config.modulargan.content
    examples = () if content else example_images(data, min(config.samples, 8))

    def step(state: DuelState, batch: Any, due: Any) -> tuple[DuelState, Metrics]:
        del due
        attrs = batch["attrs"]
        parts = {"image": batch["image"], "values": jnp.stack([attrs[name] for name in active], -1)}
        return duel.step(state, parts | ({"content": attrs[content]} if content else {}))

    def gan(state: DuelState) -> Gan:
        return make_gan("modular", generator, state.ema, data.name)

    def sample(state: DuelState, key: jax.Array, n: int) -> jax.Array:
        return _sheet(generator, state.ema, examples, key, n)

    return Method(
        init=functools.partial(start_state, duel, generator, discriminator, data.shape),
        step=step,
        sample=sample,
        gan=gan,
        critic=lambda state: (discriminator, state.d.variables),
        images=config.batch * config.d_steps,
        start=functools.partial(inherit, config.init, generator, discriminator) if config.init else None,
    )


def _networks(config: ConfigDict, data: SourceSpec) -> tuple[Any, Any]:
    attributes, content = attributes_of(config, data), config.modulargan.content
    classes = 0
    if content:
        if content not in data.attrs or content in dict(attributes):
            raise unknown("attribute for modulargan.content", content, set(data.attrs) - set(dict(attributes)))
        classes = len(data.attrs[content])
    shared = {"resolution": data.shape[0], "attributes": attributes, "classes": classes, "dtype": config.dtype}
    g_options = {"channels": data.shape[2], **shared, **config.model.generator.to_dict()}
    return build_generator("modular", g_options), build_discriminator(
        "modular", {**shared, **config.model.discriminator.to_dict()}
    )


def trained(generator: Any, discriminator: Any, text: str) -> tuple[Any, Any, tuple[str, ...]]:
    """What a list of parts means: trained entries of the generator, of the discriminator, and active attributes.

    A transformer alone is trained with its own discriminator; encoder, source or reconstructor with all of them.
    """
    names = tuple(name for name, _ in generator.attributes)
    if not text:
        return None, None, names
    parts = [part.strip() for part in text.split(",") if part.strip()]
    known = (*generator.stage_names(), ENCODER)
    for part in parts:
        if part not in known:
            raise unknown("part for modulargan.train", part, dict.fromkeys(known))
    active = tuple(name for name in names if PREFIX + name in parts)
    if {ENCODER, SOURCE, RECONSTRUCTOR} & set(parts):
        return parts, None, names
    return parts, [p for name in active for p in discriminator_parts(name, discriminator.shared)], active


def _sheet(generator: Any, variables: Any, examples: Any, key: jax.Array, n: int) -> jax.Array:
    """`n` images. Translation: a source, its reconstruction, then one change after the other. Generation: draws."""
    if generator.classes:
        label = jnp.arange(n) % generator.classes
        z = jax.random.normal(key, (n, generator.latent))
        values = [
            jax.random.randint(jax.random.fold_in(key, i), (n,), 0, len(names))
            for i, (_, names) in enumerate(generator.attributes)
        ]
        return generator.apply(variables, z, label=label, program=jnp.stack(values, -1))
    rows = min(len(examples), n)
    f = generator.apply(variables, jnp.asarray(examples[:rows]), method="encode")
    columns = [jnp.asarray(examples[:rows]), generator.apply(variables, f, method="reconstruct")]
    for i in range(max(0, -(-n // rows) - 2)):
        name, names = generator.attributes[i % len(generator.attributes)]
        value = jnp.full((rows,), (i // len(generator.attributes)) % len(names), jnp.int32)
        changed, _ = generator.apply(variables, name, f, value, method="transform")
        columns.append(generator.apply(variables, changed, method="reconstruct"))
    return jnp.stack(columns, 1).reshape(-1, *examples.shape[1:])[:n]


_SYSTEMS: dict[str, Callable[..., Method]] = {
    "modular": modular,
    "stargan": stargan,
    "cyclegan": cyclegan,
    "icgan": icgan,
}
