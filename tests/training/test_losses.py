"""Losses against their equations, computed another way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ganx
from ganx.training.losses import LOSSES, loss

REAL = np.array([-1.5, 0.2, 3.0])
FAKE = np.array([-0.7, 0.0, 2.5])
sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731

EXPECTED = {
    "non_saturating": (-np.log(sigmoid(REAL)).mean() - np.log(1 - sigmoid(FAKE)).mean(), -np.log(sigmoid(FAKE)).mean()),
    "saturating": (-np.log(sigmoid(REAL)).mean() - np.log(1 - sigmoid(FAKE)).mean(), np.log(1 - sigmoid(FAKE)).mean()),
    "hinge": (np.mean([2.5, 0.8, 0.0]) + np.mean([0.3, 1.0, 3.5]), -np.mean(FAKE)),
    "wasserstein": (FAKE.mean() - REAL.mean(), -FAKE.mean()),
    "least_squares": (((REAL - 1) ** 2 / 2).mean() + (FAKE**2 / 2).mean(), ((FAKE - 1) ** 2 / 2).mean()),
}


@pytest.mark.parametrize("name", LOSSES)
def test_values(name):
    d, g = EXPECTED[name]
    pair = loss(name)
    np.testing.assert_allclose(pair.discriminator(jnp.array(REAL), jnp.array(FAKE)), d, rtol=1e-6)
    np.testing.assert_allclose(pair.generator(jnp.array(FAKE)), g, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_players_pull_fake_logits_apart(name):
    """D lowers its loss by lowering a fake's logit at 0.5, G by raising it."""
    pair, fake = loss(name), jnp.array([0.5])
    assert jax.grad(lambda f: pair.discriminator(jnp.array([0.5]), f))(fake)[0] > 0
    assert jax.grad(pair.generator)(fake)[0] < 0


@pytest.mark.parametrize("name", ["non_saturating", "saturating", "hinge"])
def test_extreme_logits_stay_finite(name):
    big = jnp.array([1e4, -1e4])
    assert jnp.isfinite(loss(name).discriminator(big, big))
    assert jnp.isfinite(jax.grad(loss(name).generator)(big)).all()


def test_unknown_loss_names_the_nearest():
    with pytest.raises(ganx.GanxError, match="did you mean 'hinge'"):
        loss("hing")
