"""Orthogonal regularisation against automatic differentiation; standing statistics against the batches' own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganx.errors import GanxError
from ganx.models import make_gan
from ganx.models.biggan import BigGanGenerator
from ganx.models.initialise import initialise
from ganx.training.orthogonal import orthogonal, orthogonal_gradient
from ganx.training.standing import standing_statistics


def overlap(rows):
    gram = rows @ rows.T
    return 0.5 * jnp.square(gram - jnp.diag(jnp.diag(gram))).sum()


def test_the_gradient_is_that_of_the_overlap_of_filters():
    """Rows are outputs, flattened; of an embedding they are classes."""
    kernel = jax.random.normal(jax.random.key(0), (3, 3, 2, 4))
    expected = jax.grad(lambda k: overlap(k.reshape(-1, 4).T))(kernel)
    np.testing.assert_allclose(orthogonal_gradient(kernel), expected, rtol=1e-4, atol=1e-4)
    table = jax.random.normal(jax.random.key(1), (5, 3))
    np.testing.assert_allclose(
        orthogonal_gradient(table, embedding=True), jax.grad(overlap)(table), rtol=1e-4, atol=1e-4
    )


def test_shared_vectors_and_biases_are_spared():
    params = {
        "shared": {"embedding": jnp.ones((3, 2))},
        "block": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3), "embedding": jnp.ones((3, 2))},
    }
    zeros = jax.tree.map(jnp.zeros_like, params)
    transform = orthogonal(0.5)
    grads, _ = jax.jit(transform.update)(zeros, transform.init(params), params)
    assert not grads["shared"]["embedding"].any()
    assert not grads["block"]["bias"].any()
    np.testing.assert_allclose(grads["block"]["kernel"], 0.5 * orthogonal_gradient(params["block"]["kernel"]))
    assert grads["block"]["embedding"].all()


def test_it_drives_filters_apart_and_keeps_their_lengths():
    params = {"kernel": jax.random.normal(jax.random.key(2), (8, 4))}
    optimiser = optax.chain(orthogonal(1.0), optax.sgd(2e-3))
    state, lengths = optimiser.init(params), jnp.linalg.norm(params["kernel"], axis=0)
    before = overlap(params["kernel"].T)

    @jax.jit
    def step(params, state):
        updates, state = optimiser.update(jax.tree.map(jnp.zeros_like, params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(200):
        params, state = step(params, state)
    assert overlap(params["kernel"].T) < 1e-3 * before
    assert (jnp.linalg.norm(params["kernel"], axis=0) > 0.5 * lengths).all()


def test_a_negative_strength_is_refused():
    with pytest.raises(GanxError, match="0 or more"):
        orthogonal(-1.0)


def test_standing_statistics_are_the_mean_of_the_batches_own():
    module = BigGanGenerator((8, 8), classes=2, embed=4, latent=8)
    z = jax.random.normal(jax.random.key(3), (2, 3, 8))
    label = jnp.array([[0, 1, 1], [1, 0, 0]])
    variables = initialise(module.init, jax.random.key(4), z[0], label=label[0])
    gan = make_gan("biggan", module, variables)
    found = standing_statistics(gan, z, label).variables["batch_stats"]["block0"]["norm1"]
    maps = [gan.until("linear", z[i], label=label[i]).features for i in range(2)]
    np.testing.assert_allclose(found["mean"][0], np.mean([m.mean((0, 1, 2)) for m in maps], 0), rtol=1e-3, atol=1e-5)
    unbiased = [np.asarray(m).reshape(-1, 8).var(0, ddof=1) for m in maps]
    np.testing.assert_allclose(found["var"][0], np.mean(unbiased, 0), rtol=1e-3)
    assert (gan.variables["batch_stats"]["block0"]["norm1"]["mean"] == 0).all()
