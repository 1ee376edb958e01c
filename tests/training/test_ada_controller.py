"""The controller of the augmentation probability."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.errors import GanxError
from ganx.training.ada import Controller


def _run(controller, logits, steps, state=None):
    state = controller.init() if state is None else state

    @jax.jit
    def step(state, index):
        state = controller.observe(state, logits)
        return controller.update(state, (index + 1) % controller.every == 0)

    for index in range(steps):
        state = step(state, jnp.int32(index))
    return state


def test_p_climbs_by_the_published_amount_every_fourth_step():
    controller = Controller(batch=64)
    confident = jnp.ones(64)
    assert _run(controller, confident, 3).p == 0
    state = _run(controller, confident, 4)
    np.testing.assert_allclose(state.p, 64 * 4 / 500_000, rtol=1e-6)
    assert state.count == 0
    assert state.signs == 0
    np.testing.assert_allclose(_run(controller, confident, 12).p, 3 * 64 * 4 / 500_000, rtol=1e-6)


def test_p_falls_below_the_target_and_stops_at_zero_but_may_pass_one():
    controller = Controller(batch=1000, start=0.01, kimg=400.0)  # moves of 0.01
    fooled = jnp.where(jnp.arange(1000) < 790, 1.0, -1.0)  # a mean of 0.58
    once = _run(controller, fooled, 4)
    np.testing.assert_allclose(once.p, 0.0, atol=1e-7)
    assert _run(controller, fooled, 8).p == 0
    sure = Controller(batch=1000, start=1.0, kimg=400.0)
    np.testing.assert_allclose(_run(sure, jnp.ones(1000), 4).p, 1.01, rtol=1e-6)


def test_signs_are_averaged_over_all_steps_since_the_last_update():
    controller = Controller(batch=2, start=0.5, target=0.0, every=2)
    state = controller.observe(controller.init(), jnp.array([1.0, 1.0, 1.0]))
    state = controller.observe(state, jnp.array([-5.0, -5.0]))
    assert (state.signs, state.count) == (1, 5)
    assert controller.update(state).p > 0.5
    assert controller.update(controller.observe(state, jnp.array([-1.0, -1.0, 0.0]))).p < 0.5


def test_nothing_seen_or_nothing_due_moves_nothing():
    controller = Controller(batch=64, start=0.3)
    assert controller.update(controller.init()).p == controller.init().p
    state = controller.observe(controller.init(), jnp.ones(4))
    kept = controller.update(state, due=False)
    assert jax.tree.map(float, kept) == jax.tree.map(float, state)


def test_fixed_probability_stays():
    controller = Controller(batch=64, start=0.3, target=None)
    np.testing.assert_allclose(_run(controller, jnp.ones(64), 8).p, 0.3)


@pytest.mark.parametrize("options", [{"start": 1.5}, {"target": 1.0}, {"kimg": 0.0}, {"every": 0}])
def test_impossible_settings_are_refused(options):
    with pytest.raises(GanxError, match="augmentation"):
        Controller(**{"batch": 64, **options})
