"""A population of generators of a few dozen weights, on points."""

import dataclasses
import functools

import jax
import pytest

from ganx.data.example import SourceSpec
from ganx.egan import add_egan
from ganx.egan.method import build_generation
from ganx.models.initialise import initialise
from ganx.training import default_config

POINTS = SourceSpec("world:gaussians?modes=8", (2,))


def small_config(**changes):
    """E-GAN on 8 Gaussians with tiny networks; `changes` are options of the group egan."""
    config = default_config()
    config.data.source = POINTS.name
    config.model.family = "mlp"
    config.model.generator = {"width": 8, "depth": 2, "std": 0.3}
    config.model.discriminator = {"width": 8, "depth": 2, "std": 0.3}
    config.g.lr = config.d.lr = 1e-2
    config.batch, config.d_steps = 8, 1
    return add_egan(config, **{"evaluation": 16, **changes})


@dataclasses.dataclass(frozen=True)
class Run:
    """A generation, its first population, and a step that is compiled once."""

    generation: object
    state: object
    step: object

    def batch(self, step):
        key = jax.random.fold_in(jax.random.key(7), step)
        return {"image": jax.random.normal(key, (self.generation.images, 2))}

    def after(self, generations):
        state, metrics = self.state, {}
        for i in range(generations):
            state, metrics = self.step(state, self.batch(i))
        return state, metrics


@functools.cache
def small(mesh=None, **changes):
    """A `Run` with those options."""
    generation = build_generation(small_config(**changes), POINTS, mesh)
    state = initialise(lambda key: generation.init(key, (2,)), jax.random.key(0))
    return Run(generation, state, jax.jit(lambda state, batch: generation.step(state, batch, {})))


@pytest.fixture(scope="session")
def run():
    return small
