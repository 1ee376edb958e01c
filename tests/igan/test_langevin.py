"""Chains have the distributions that theory gives, and repeat themselves for a key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.igan.energy import energy, realism_slope
from ganx.igan.langevin import LangevinRule, langevin, reflect
from ganx.training.loops import choose


def flat(z):
    return jnp.zeros(len(z))


def run(energy_of, start, rule, seed=1, **how):
    def chain(z, key):
        with choose(unroll=False):  # hundreds of steps
            return langevin(energy_of, z, key, rule, **how)

    return jax.jit(chain)(start, jax.random.key(seed))


def test_without_energy_the_variance_is_the_discretised_priors():
    rule = LangevinRule(steps=60, step_size=0.6, sigma=0.8)
    start = 0.8 * jax.random.normal(jax.random.key(0), (20000, 2))
    chain = run(flat, start, rule)
    want = 0.8**2 / (1 - 0.6**2 / (4 * 0.8**2))
    assert float(chain.z.var()) == pytest.approx(want, rel=0.02)
    assert float(chain.score) == 0.0


def test_fifteen_steps_move_as_far_as_derived():
    chain = run(flat, jax.random.normal(jax.random.key(2), (4000, 8)), LangevinRule())
    assert float(chain.moved) == pytest.approx(0.31, abs=0.02)


def test_quadratic_energy_gives_the_tilted_gaussian():
    """g = -z'Az/2 under a standard prior: covariance (A + I)^-1, for steps short enough."""
    tilt = jnp.array([[2.0, 0.8], [0.8, 1.0]])

    def quadratic(z):
        return -0.5 * jnp.einsum("ni,ij,nj->n", z, tilt, z)

    start = jax.random.normal(jax.random.key(3), (20000, 2))
    chain = run(quadratic, start, LangevinRule(steps=200, step_size=0.2))
    want = np.linalg.inv(np.asarray(tilt) + np.eye(2))
    assert np.abs(np.cov(np.asarray(chain.z).T) - want).max() <= 0.05 * np.abs(want).max()


def test_drift_goes_up_the_energy_and_is_clipped():
    start = jnp.zeros((64, 4))
    rule = LangevinRule(steps=1, step_size=0.1)
    steep = run(lambda z: 1e4 * z.sum(1), start, rule)
    clipped = run(lambda z: 1e4 * z.sum(1), start, LangevinRule(steps=1, step_size=0.1, clip_score=2.0))
    still = run(flat, start, rule)
    np.testing.assert_allclose(steep.z - still.z, 0.1**2 / 2 * 1e4, rtol=1e-4)
    np.testing.assert_allclose(clipped.z - still.z, 0.1**2 / 2 * 1.0, rtol=1e-3)
    assert float(clipped.score) == pytest.approx(2e4, rel=1e-4)


def test_uniform_latents_stay_uniform():
    start = jax.random.uniform(jax.random.key(4), (20000, 1), minval=-1.0)
    chain = run(flat, start, LangevinRule(steps=100, step_size=0.3), prior="uniform")
    counts = np.histogram(np.asarray(chain.z), 5, (-1, 1))[0]
    assert counts.sum() == 20000
    assert np.abs(counts / 4000 - 1).max() < 0.06
    np.testing.assert_allclose(reflect(jnp.array([0.3, 1.25, -1.25, 3.5])), [0.3, 0.75, -0.75, -0.5], atol=1e-6)


def test_same_key_same_chain_rolled_or_not_traced_constants_or_not():
    start = jax.random.normal(jax.random.key(5), (8, 3))
    rule = LangevinRule(steps=4)
    first = run(lambda z: jnp.sin(z).sum(1), start, rule)
    again = langevin(lambda z: jnp.sin(z).sum(1), start, jax.random.key(1), rule, step_size=0.1, sigma=1.0)
    np.testing.assert_allclose(again.z, first.z, rtol=1e-5)
    np.testing.assert_array_equal(run(lambda z: jnp.sin(z).sum(1), start, rule).z, first.z)
    assert np.abs(run(lambda z: jnp.sin(z).sum(1), start, rule, seed=6).z - first.z).max() > 0.01


def test_realism_updates_make_an_energy_flatter():
    """Eq. 8 alone is a restoring force: an energy that favours some latents varies less after it."""
    labels, mix = jnp.array([0, 0, 1, 1]), jnp.array([[1.0, 0.5, 0.0, 0.2], [0.0, 0.3, 1.0, -0.4]])

    def features_of(z):
        return jax.nn.relu(z @ mix)[:, None, :]

    weights = jnp.full((1, 4, 2), 0.3)

    def spread(weights):
        z = jax.random.normal(jax.random.key(7), (2000, 2))
        return float(energy(features_of(z), weights, labels).std())

    def update(weights, key):
        z_key, chain_key = jax.random.split(key)
        z = jax.random.normal(z_key, (512, 2))
        chain = langevin(lambda z: energy(features_of(z), weights, labels), z, chain_key, LangevinRule(steps=15))
        return weights - 0.3 * realism_slope(features_of(z), features_of(chain.z), labels, 2), None

    before = spread(weights)
    with choose(unroll=False):
        weights, _ = jax.lax.scan(update, weights, jax.random.split(jax.random.key(8), 60))
    assert spread(weights) < 0.4 * before
