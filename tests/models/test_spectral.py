"""Spectral normalisation: against singular values, against the formula of its gradient, in both conventions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.errors import GanxError
from ganx.models import biggan, spectral
from ganx.models.spectral import SpectralConv, SpectralDense, SpectralEmbed, WeightRule


def unit(x):
    return x / np.linalg.norm(x)


def dense(normalisation):
    module = SpectralDense(WeightRule(normalisation), 5, bias=False)
    return module, module.init(jax.random.key(1), jnp.ones((1, 7)), False)


@pytest.mark.parametrize("normalisation", ["power", "stored"])
def test_training_finds_the_largest_singular_value(normalisation):
    module = SpectralConv(WeightRule(normalisation, init="normal"), 4, bias=False)
    x = jax.random.normal(jax.random.key(0), (1, 3, 3, 2))
    variables = module.init(jax.random.key(1), x, False)
    step = jax.jit(lambda v: {**v, **module.apply(v, x, True, mutable=["spectral"])[1]})
    for _ in range(40):
        variables = step(variables)
    kernel = variables["params"]["kernel"]
    sigma = np.linalg.svd(np.asarray(kernel).reshape(-1, 4), compute_uv=False)[0]
    plain = SpectralConv(WeightRule("none"), 4, bias=False).apply({"params": {"kernel": kernel / sigma}}, x, False)
    np.testing.assert_allclose(module.apply(variables, x, False), plain, rtol=1e-4, atol=1e-6)


def test_evaluation_iterates_once_from_the_stored_vector_and_forgets():
    module, variables = dense("power")
    w, u = (np.asarray(variables[c][n], np.float64) for c, n in (("params", "kernel"), ("spectral", "u")))
    v = unit(w @ u)
    sigma = v @ w @ unit(v @ w)
    out, new = module.apply(variables, jnp.eye(7), False, mutable=["spectral"])
    np.testing.assert_allclose(out, w / sigma, rtol=1e-5)
    assert (new["spectral"]["u"] == variables["spectral"]["u"]).all()


def test_stored_vectors_are_used_as_they_are():
    module, variables = dense("stored")
    w, u = (np.asarray(variables[c][n], np.float64) for c, n in (("params", "kernel"), ("spectral", "u")))
    v = unit(np.arange(1.0, 8.0))
    variables["spectral"]["v"] = jnp.asarray(v, jnp.float32)
    np.testing.assert_allclose(module.apply(variables, jnp.eye(7), False), w / (v @ w @ u), rtol=1e-4)


def test_training_keeps_the_vectors_and_logs_sigma():
    module, variables = dense("power")
    w, u = (np.asarray(variables[c][n], np.float64) for c, n in (("params", "kernel"), ("spectral", "u")))
    _, new = module.apply(variables, jnp.eye(7), True, mutable=["spectral"])
    v = unit(w @ u)
    np.testing.assert_allclose(new["spectral"]["u"], unit(v @ w), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(new["spectral"]["sigma"], v @ w @ unit(v @ w), rtol=1e-5)


def test_gradient_is_that_of_the_quotient_with_both_vectors_fixed():
    """d <G, W/s> = (G - <G, W/s> v u^T) / s (Miyato et al. 2018, eq. 12)."""
    module, variables = dense("power")
    w, u = (np.asarray(variables[c][n], np.float64) for c, n in (("params", "kernel"), ("spectral", "u")))
    g = np.random.RandomState(0).standard_normal(w.shape)
    v = unit(w @ u)
    u = unit(v @ w)
    sigma = v @ w @ u
    expected = (g - (g * w).sum() / sigma * np.outer(v, u)) / sigma

    def objective(kernel):
        return (module.apply({**variables, "params": {"kernel": kernel}}, jnp.eye(7), False) * g).sum()

    np.testing.assert_allclose(jax.grad(objective)(variables["params"]["kernel"]), expected, rtol=1e-4, atol=1e-5)


def test_an_embedding_is_normalised_along_its_classes():
    module = SpectralEmbed(WeightRule(), 3, 6)
    variables = module.init(jax.random.key(0), jnp.zeros(1, jnp.int32), False)
    assert variables["spectral"]["u"].shape == (3,)
    w, u = (np.asarray(variables[c][n]) for c, n in (("params", "embedding"), ("spectral", "u")))
    v = unit(u @ w)
    whole = w / np.linalg.norm(w @ v)
    np.testing.assert_allclose(module.apply(variables, jnp.array([2, 0]), False), whole[[2, 0]], rtol=1e-5)
    mixture = jnp.array([[0.25, 0.0, 0.75]])
    np.testing.assert_allclose(module.apply(variables, mixture, False), mixture @ whole, rtol=1e-5)


@pytest.mark.parametrize("normalisation", ["power", "stored"])
def test_baking_changes_no_logit(normalisation):
    module = biggan.BigGanDiscriminator((8,), (True,), classes=3, spectral=normalisation)
    x, label = jax.random.normal(jax.random.key(0), (2, 4, 4, 3)), jnp.array([0, 2])
    variables = module.init(jax.random.key(1), x, label=label)
    baked, less = spectral.bake(module, variables)
    assert set(less) == {"params"}
    ours, theirs = (m.apply(v, x, label=label) for m, v in ((baked, less), (module, variables)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_weights_start_orthogonal():
    module = SpectralConv(WeightRule("none"), 4)
    kernel = module.init(jax.random.key(0), jnp.zeros((1, 2, 2, 3)), False)["params"]["kernel"].reshape(-1, 4)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(4), atol=1e-5)


def test_an_unknown_rule_is_one_line():
    with pytest.raises(GanxError, match="did you mean 'power'"):
        WeightRule("powers").checked()
