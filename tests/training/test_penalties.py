"""Forward over reverse against the plain reverse-over-reverse form, on real networks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.models import build_discriminator, build_generator
from ganx.models.initialise import initialise
from ganx.training import penalties


def _critic(family, options):
    module = build_discriminator(family, {"resolution": 8, **options})
    x = jax.random.normal(jax.random.key(0), (4, 8, 8, 3))
    variables = initialise(module.init, jax.random.key(1), x)
    stats = {name: tree for name, tree in variables.items() if name != "params"}

    def critic(params, x):
        return module.apply({"params": params, **stats}, x, train=True, mutable=list(stats))[0]

    return critic, variables["params"], x


@pytest.fixture(scope="module")
def critic():
    return _critic("dcgan", {"width": 4})


def _agree(ours, oracle, tolerance=1e-4):
    assert jax.tree.structure(ours) == jax.tree.structure(oracle)
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(oracle))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=tolerance * scale), ours, oracle)


@pytest.mark.parametrize("h", [penalties.r1, penalties.wgan_gp])
def test_penalty_and_its_gradient_match_reverse_over_reverse(critic, h):
    _check_against_reverse(h, *critic)


def test_r1_of_a_residual_critic_matches_reverse_over_reverse():
    _check_against_reverse(penalties.r1, *_critic("stylegan2", {"channel_base": 32, "channel_max": 4}))


def _check_against_reverse(h, run, params, x):
    ours = jax.jit(jax.value_and_grad(lambda p: 3.0 * penalties.gradient_penalty(run, h, p, x)))(params)
    plain = jax.jit(jax.value_and_grad(lambda p: 3.0 * h(jax.grad(lambda x: run(p, x).sum())(x))))(params)
    _agree(ours, plain)


def test_value_without_a_gradient_is_the_same(critic):
    run, params, x = critic
    value = jax.jit(lambda p: penalties.gradient_penalty(run, penalties.r1, p, x))
    graded = jax.jit(jax.value_and_grad(lambda p: penalties.gradient_penalty(run, penalties.r1, p, x)))
    np.testing.assert_allclose(value(params), graded(params)[0], rtol=1e-5)


def test_penalties_of_known_gradients():
    g = jnp.zeros((2, 3, 3, 1)).at[0, 0, 0, 0].set(3.0).at[0, 1, 1, 0].set(4.0)
    np.testing.assert_allclose(penalties.r1(g), 0.5 * 25 / 2, rtol=1e-6)
    np.testing.assert_allclose(penalties.wgan_gp(g), ((5 - 1) ** 2 + 1) / 2, rtol=1e-5)


def test_a_linear_critic_has_the_closed_form():
    x = jax.random.normal(jax.random.key(0), (5, 2, 2, 1))
    w = jnp.arange(4.0).reshape(2, 2, 1)

    def penalty(w):
        return penalties.gradient_penalty(lambda w, x: (x * w).sum((1, 2, 3)), penalties.r1, w, x)

    value, grad = jax.value_and_grad(penalty)(w)
    np.testing.assert_allclose(value, 7.0, rtol=1e-6)
    np.testing.assert_allclose(grad, w, rtol=1e-6)


@pytest.fixture(scope="module")
def generator():
    options = {"latent": 6, "style": 6, "mapping_layers": 2, "channel_base": 64, "channel_max": 4}
    module = build_generator("stylegan2", {"resolution": 8, **options})
    z = jax.random.normal(jax.random.key(0), (4, 6))
    variables = initialise(module.init, jax.random.key(1), z)
    stats = {name: tree for name, tree in variables.items() if name != "params"}
    names = module.stage_names()

    def codes(params):
        variables = {"params": params, **stats}
        features, context = module.apply(variables, z, method="begin")
        return module.apply(variables, names[:1], features, context, method="run")

    def images(params, ws):
        _, context = codes(params)
        return module.apply({"params": params, **stats}, names[1:], ws, context, method="run")[0]

    return images, lambda params: codes(params)[0], variables["params"]


def test_path_length_matches_the_authors_form(generator):
    images, codes, params = generator
    noise = jax.random.normal(jax.random.key(2), (4, 8, 8, 3))
    mean = jnp.float32(0.3)

    def plain(params):
        slope = jax.grad(lambda ws: (images(params, ws) * noise).sum() / 8)(codes(params))
        lengths = jnp.sqrt(jnp.square(slope).sum(2).mean(1))
        moved = mean + 0.01 * (lengths.mean() - mean)
        return jnp.square(lengths - moved).mean(), moved

    (value, moved), grads = jax.jit(lambda p: penalties.path_length(images, codes, p, noise, mean))(params)
    (want, want_moved), want_grads = jax.jit(jax.value_and_grad(plain, has_aux=True))(params)
    np.testing.assert_allclose([value, moved], [want, want_moved], rtol=1e-4)
    _agree(grads, want_grads)
