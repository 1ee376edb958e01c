"""IcGAN in the loop of all systems here.

The published encoders are trained when the GAN is done; here they are trained beside it, on what it draws at the time.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data.example import SourceSpec
from ganx.gan import Gan
from ganx.models import build_discriminator, build_generator, make_gan
from ganx.models.modular_icgan import condition
from ganx.modulargan.duel import DuelState
from ganx.modulargan.shared import attributes_of, example_images, make_duel, start_state
from ganx.modulargan.targets import draw_targets
from ganx.training.mesh import shard_batch
from ganx.training.method import Method, Metrics

Tree = Any
Batch = dict[str, jax.Array]


def icgan(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Method:
    """A conditional GAN with matching-aware critic, and encoders by mean squared error."""
    attributes = attributes_of(config, data)
    shared = {"resolution": data.shape[0], "attributes": attributes}
    g_options = {"channels": data.shape[2], **shared, **config.model.generator.to_dict()}
    generator = build_generator("icgan", g_options)
    discriminator = build_discriminator("icgan", {**shared, **config.model.discriminator.to_dict()})
    game = Inverse(generator, discriminator, mesh)
    duel = make_duel(config, game.g_loss, game.d_loss)
    examples, names = example_images(data, min(config.samples, 8)), [name for name, _ in attributes]

    def step(state: DuelState, batch: Any, due: Any) -> tuple[DuelState, Metrics]:
        del due
        values = jnp.stack([jnp.maximum(batch["attrs"][name], 0) for name in names], -1)
        return duel.step(state, {"image": batch["image"], "values": values})

    def gan(state: DuelState) -> Gan:
        return make_gan("icgan", generator, state.ema, data.name)

    def sample(state: DuelState, key: jax.Array, n: int) -> jax.Array:
        del key
        return generator.apply(state.ema, jnp.resize(jnp.asarray(examples), (n, *data.shape)))

    return Method(
        init=functools.partial(start_state, duel, generator, discriminator, data.shape),
        step=step,
        sample=sample,
        gan=gan,
        critic=lambda state: (discriminator, state.d.variables),
        images=config.batch * config.d_steps,
    )


class Inverse:
    """The losses; batch statistics are those of the last images that each network saw."""

    def __init__(self, generator: Any, discriminator: Any, mesh: Mesh | None):
        self._g, self._d, self._mesh = generator, discriminator, mesh
        self._counts = tuple(len(values) for _, values in generator.attributes)

    def d_loss(self, d: Tree, g: Tree, batch: Batch, key: jax.Array) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """Real images with their values against drawn ones and real ones with wrong values, each of those half."""
        wrong_key, draw_key = jax.random.split(key)
        x, y = batch["image"], condition(self._g.attributes, batch["values"])
        wrong = shard_batch(draw_targets(wrong_key, batch["values"], self._counts), self._mesh)
        fake, _ = self._draw(g, self._codes(draw_key, len(x)), y)
        on_real, d = self._judge(d, x, y)
        on_fake, d = self._judge(d, jax.lax.stop_gradient(fake), y)
        on_wrong, d = self._judge(d, x, condition(self._g.attributes, wrong))
        loss = _entropy(on_real, 1.0) + 0.5 * (_entropy(on_fake, 0.0) + _entropy(on_wrong, 0.0))
        return loss, ({"loss_d": loss}, {k: v for k, v in d.items() if k != "params"})

    def g_loss(self, g: Tree, d: Tree, batch: Batch, key: jax.Array) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """The drawing side's loss, and those of the encoders, which do not reach the decoder."""
        x, y = batch["image"], condition(self._g.attributes, batch["values"])
        z = self._codes(key, len(x))
        fake, g = self._draw(g, z, y)
        logits, _ = self._judge(d, fake, y)
        code, g = self._read(g, jax.lax.stop_gradient(fake), "coded")
        named, g = self._read(g, x, "named")
        adversarial = _entropy(logits, 1.0)
        coding, naming = jnp.square(code - z).mean(), jnp.square(named - y).mean()
        metrics = {"loss_g": adversarial, "code": coding, "names": naming}
        return adversarial + coding + naming, (metrics, {k: v for k, v in g.items() if k != "params"})

    def _codes(self, key: jax.Array, n: int) -> jax.Array:
        return shard_batch(jax.random.normal(key, (n, self._g.code)), self._mesh)

    def _draw(self, g: Tree, z: jax.Array, y: jax.Array) -> tuple[jax.Array, Tree]:
        image, new = self._g.apply(g, z, y, True, method="draw", mutable=["batch_stats"])
        return image, {**g, **new}

    def _read(self, g: Tree, x: jax.Array, method: str) -> tuple[jax.Array, Tree]:
        found, new = self._g.apply(g, x, True, method=method, mutable=["batch_stats"])
        return found, {**g, **new}

    def _judge(self, d: Tree, x: jax.Array, y: jax.Array) -> tuple[jax.Array, Tree]:
        logits, new = self._d.apply(d, x, True, y, mutable=["batch_stats"])
        return logits, {**d, **new}


def _entropy(logits: jax.Array, truth: float) -> jax.Array:
    return optax.sigmoid_binary_cross_entropy(logits, jnp.full_like(logits, truth)).mean()
