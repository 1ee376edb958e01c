"""The warning that the diversity term alone decides: told in a setting where it does, and not in the shipped one."""

import jax
import pytest

from ganx.data.example import SourceSpec
from ganx.data.worlds.gaussians import Gaussians
from ganx.egan import add_egan
from ganx.egan.method import method
from ganx.models.initialise import initialise
from ganx.training import default_config


@pytest.mark.parametrize(("gamma", "std", "generations", "told"), [(2.0, 0.02, 2000, True), (0.01, 0.04, 1000, False)])
def test_selection_by_diversity_alone_is_told(gamma, std, generations, told):
    """8 Gaussians and networks of width 128, whose initial weights should have a deviation of 0.04."""
    config, world = default_config(), Gaussians(modes=8)
    config.model.family, config.batch, config.d.b1 = "mlp", 64, 0.0
    config.model.generator = config.model.discriminator = {"width": 128, "std": std}
    bred = method(add_egan(config, evaluation=256, gamma=gamma), SourceSpec("world:gaussians?modes=8", (2,)))

    def step(state):
        which, near = jax.random.split(jax.random.fold_in(jax.random.key(9), state.step))
        centres = jax.numpy.asarray(world.centres)[jax.random.randint(which, (bred.images,), 0, 8)]
        points = centres + world.deviation * jax.random.normal(near, (bred.images, 2))
        return bred.step(state, {"image": points}, {})

    step = jax.jit(step, donate_argnums=0)
    state = initialise(bred.init, jax.random.key(0))
    for _ in range(generations):
        state, metrics = step(state)
    said = bred.warn(generations, {name: float(value) for name, value in metrics.items()})
    assert ("dominates selection" in said) if told else said is None
    assert state.wins.sum() == generations
