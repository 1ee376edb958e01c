"""CycleGAN on every pair of values of every attribute, in the loop of all systems here.

A batch holds images of all values, so each direction learns from those of its own two by weight. The published pool of
50 past fakes is left out, as it is for batches of one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data.example import SourceSpec
from ganx.gan import Gan
from ganx.models import build_discriminator, build_generator, make_gan
from ganx.models.modular_cyclegan import edges
from ganx.modulargan.duel import DuelState
from ganx.modulargan.shared import attributes_of, example_images, make_duel, start_state
from ganx.training.method import Method, Metrics

Tree = Any
Batch = dict[str, jax.Array]
IDENTITY = 0.5
"""Weight of the identity loss, as a share of the cycle's."""


def cyclegan(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Method:
    """Least-squares GAN, cycle and identity; `modulargan.cycle_image` is the cycle's weight."""
    del mesh  # nothing is drawn inside the step
    attributes = attributes_of(config, data)
    shared = {"resolution": data.shape[0], "attributes": attributes}
    g_options = {"channels": data.shape[2], **shared, **config.model.generator.to_dict()}
    generator = build_generator("cyclegan", g_options)
    discriminator = build_discriminator("cyclegan", {**shared, **config.model.discriminator.to_dict()})
    pairs = Pairs(generator, discriminator, config.modulargan.cycle_image)
    duel = make_duel(config, pairs.g_loss, pairs.d_loss)
    examples, names = example_images(data, min(config.samples, 8)), [name for name, _ in attributes]

    def step(state: DuelState, batch: Any, due: Any) -> tuple[DuelState, Metrics]:
        del due
        values = jnp.stack([batch["attrs"][name] for name in names], -1)
        return duel.step(state, {"image": batch["image"], "values": values})

    def gan(state: DuelState) -> Gan:
        return make_gan("cyclegan", generator, state.ema, data.name)

    def sample(state: DuelState, key: jax.Array, n: int) -> jax.Array:
        del key
        x = jnp.resize(jnp.asarray(examples), (n, *data.shape))
        return generator.apply(state.ema, edges(attributes)[0][0], x, method="direct")

    return Method(
        init=functools.partial(start_state, duel, generator, discriminator, data.shape),
        step=step,
        sample=sample,
        gan=gan,
        critic=lambda state: (discriminator, state.d.variables),
        images=config.batch * config.d_steps,
    )


class Pairs:
    """The losses of all directions, added up."""

    def __init__(self, generator: Any, discriminator: Any, cycle: float):
        self._g, self._d, self._cycle = generator, discriminator, cycle
        self._names = [name for name, _ in generator.attributes]

    def d_loss(self, d: Tree, g: Tree, batch: Batch, key: jax.Array) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """Half of E[(D(real) - 1)²] + E[D(fake)²] for each direction."""
        del key
        x, loss = batch["image"], jnp.zeros(())
        for name, _, source, target in self._directions(batch):
            fake = jax.lax.stop_gradient(self._made(g, name, x))
            real, other = self._judge(d, name, x), self._judge(d, name, fake)
            loss = loss + 0.5 * (weighted((real - 1) ** 2, target) + weighted(other**2, source))
        return loss, ({"loss_d": loss}, {})

    def g_loss(self, g: Tree, d: Tree, batch: Batch, key: jax.Array) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """E[(D(fake) - 1)²] + λ cycle + λ/2 identity for each direction."""
        del key
        x, adversarial, cycle, same = batch["image"], jnp.zeros(()), jnp.zeros(()), jnp.zeros(())
        for name, back, source, target in self._directions(batch):
            made = self._made(g, name, x)
            adversarial = adversarial + weighted((self._judge(d, name, made) - 1) ** 2, source)
            cycle = cycle + weighted(jnp.abs(self._made(g, back, made) - x), source)
            same = same + weighted(jnp.abs(made - x), target)
        loss = adversarial + self._cycle * (cycle + IDENTITY * same)
        return loss, ({"loss_g": loss, "cycle_image": cycle, "identity": same}, {})

    def _directions(self, batch: Batch) -> Iterator[tuple[str, str, jax.Array, jax.Array]]:
        """(direction, the way back, weight of each sample as source, as example of the target)."""
        for name, attribute, a, b in edges(self._g.attributes):
            value = batch["values"][:, self._names.index(attribute)]
            yield name, f"{attribute}_{b}_{a}", (value == a) * 1.0, (value == b) * 1.0

    def _made(self, g: Tree, name: str, x: jax.Array) -> jax.Array:
        return self._g.apply(g, name, x, method="direct")

    def _judge(self, d: Tree, name: str, x: jax.Array) -> jax.Array:
        return self._d.apply(d, name, x, method="judge")


def weighted(values: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean of `[n, ...]` over the samples of weight 1; 0 where there are none."""
    each = values.reshape(len(values), -1).mean(-1)
    return (each * weight).sum() / jnp.maximum(weight.sum(), 1.0)
