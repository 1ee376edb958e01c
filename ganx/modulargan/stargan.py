"""StarGAN in the loop of all systems here: WGAN-GP, classification, and a cycle in pixels."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data.example import SourceSpec
from ganx.gan import Gan
from ganx.models import build_discriminator, build_generator, make_gan
from ganx.models.modular_parts import channels_of
from ganx.modulargan.duel import DuelState
from ganx.modulargan.losses import classification, l1, slope_penalty, wasserstein
from ganx.modulargan.shared import attributes_of, example_images, make_duel, start_state
from ganx.modulargan.targets import draw_targets
from ganx.training.mesh import shard_batch
from ganx.training.method import Method, Metrics

Tree = Any
Batch = dict[str, jax.Array]


def stargan(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Method:
    """StarGAN as its code trains it; `modulargan.schedule="released"` keeps the code's learning rate, too."""
    attributes = attributes_of(config, data)
    shared = {"resolution": data.shape[0], "attributes": attributes, "dtype": config.dtype}
    g_options = {"channels": data.shape[2], **shared, **config.model.generator.to_dict()}
    generator = build_generator("stargan", g_options)
    discriminator = build_discriminator("stargan", {**shared, **config.model.discriminator.to_dict()})
    d_loss, g_loss = losses(config.modulargan, generator, discriminator, mesh)
    duel = make_duel(config, g_loss, d_loss)
    examples, names = example_images(data, min(config.samples, 8)), [name for name, _ in attributes]

    def step(state: DuelState, batch: Any, due: Any) -> tuple[DuelState, Metrics]:
        del due
        values = jnp.stack([batch["attrs"][name] for name in names], -1)
        return duel.step(state, {"image": batch["image"], "values": values})

    def gan(state: DuelState) -> Gan:
        return make_gan("stargan", generator, state.ema, data.name)

    def sample(state: DuelState, key: jax.Array, n: int) -> jax.Array:
        x = jnp.resize(jnp.asarray(examples), (n, *data.shape))
        counts = jnp.asarray([len(values) for _, values in attributes])
        target = jnp.floor(jax.random.uniform(key, (n, len(names))) * counts).astype(jnp.int32)
        return generator.apply(state.ema, x, target=target)

    return Method(
        init=functools.partial(start_state, duel, generator, discriminator, data.shape),
        step=step,
        sample=sample,
        gan=gan,
        critic=lambda state: (discriminator, state.d.variables),
        images=config.batch * config.d_steps,
    )


def losses(options: ConfigDict, generator: Any, discriminator: Any, mesh: Mesh | None = None) -> tuple[Any, Any]:
    """The critic's loss and the generator's; `options` are a configuration's `modulargan`."""
    counts = tuple(len(values) for _, values in generator.attributes)

    def paint(g: Tree, x: jax.Array, target: jax.Array) -> jax.Array:
        return generator.apply(g, x, target=target)

    def judge(params: Tree, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return discriminator.apply({"params": params}, x, method="judge")

    def named(logits: jax.Array, values: jax.Array) -> jax.Array:
        return all_classification(logits, values, counts, options.cls_loss)

    def targets(key: jax.Array, batch: Batch) -> jax.Array:
        return shard_batch(draw_targets(key, batch["values"], counts, options.targets), mesh)

    def d_loss(d: Tree, g: Tree, batch: Batch, key: jax.Array) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        target_key, mix_key = jax.random.split(key)
        real = batch["image"]
        fake = jax.lax.stop_gradient(paint(g, real, targets(target_key, batch)))
        epsilon = shard_batch(jax.random.uniform(mix_key, (len(real),)), mesh)
        scores, logits = judge(d["params"], real)
        critic = wasserstein(scores, judge(d["params"], fake)[0])
        penalty = slope_penalty(judge, d["params"], real, fake, epsilon, options.grad_reduce)
        wrong = named(logits, batch["values"])
        loss = critic + options.penalty * penalty + options.classification * wrong
        return loss, ({"loss_d": loss, "gap": -critic, "penalty": penalty, "cls_real": wrong}, {})

    def g_loss(g: Tree, d: Tree, batch: Batch, key: jax.Array) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        target = targets(key, batch)
        fake = paint(g, batch["image"], target)
        scores, logits = judge(d["params"], fake)
        wrong = named(logits, target)
        cycle = l1(paint(g, fake, jnp.maximum(batch["values"], 0)), batch["image"])
        loss = -scores.mean() + options.classification * wrong + options.cycle_image * cycle
        return loss, ({"loss_g": loss, "cls_fake": wrong, "cycle_image": cycle}, {})

    return d_loss, g_loss


def all_classification(logits: jax.Array, values: jax.Array, counts: tuple[int, ...], kind: str) -> jax.Array:
    """The classification losses of all attributes, whose logits lie side by side, added up."""
    total, at = jnp.zeros(()), 0
    for i, count in enumerate(counts):
        width = channels_of(count)
        total = total + classification(logits[:, at : at + width], values[:, i], count, kind)
        at += width
    return total
