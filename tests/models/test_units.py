"""Pools and bare convolutions in the forms that run well: the numbers are those of the plain ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.models.correlate import correlate
from ganx.models.units import average_pool, max_pool

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 12, 3)), jnp.float32)


def windows(x, first, op, stride, pad):
    pads = ((0, 0), (pad, pad), (pad, pad), (0, 0))
    return jax.lax.reduce_window(x, first, op, (1, 3, 3, 1), (1, stride, stride, 1), pads)


@pytest.mark.parametrize(("stride", "pad"), [(1, 1), (2, 0)])
def test_the_maximum_is_that_of_its_window(stride, pad):
    np.testing.assert_array_equal(max_pool(X, stride, pad), windows(X, -jnp.inf, jax.lax.max, stride, pad))


def test_the_average_leaves_padding_out():
    total, count = (windows(x, 0.0, jax.lax.add, 1, 1) for x in (X, jnp.ones_like(X)))
    np.testing.assert_allclose(average_pool(X), total / count, atol=1e-6)
    np.testing.assert_allclose(average_pool(jnp.ones_like(X)), 1, rtol=1e-6)


def test_a_large_map_without_padding_equals_the_plain_convolution():
    random = np.random.default_rng(1)
    x, kernel = (jnp.asarray(random.normal(size=s), jnp.float32) for s in ((1, 66, 64, 5), (3, 3, 5, 7)))
    want = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    found = correlate(x, kernel, 1, ((0, 0), (0, 0)))
    assert found.shape == (1, 64, 62, 7)
    np.testing.assert_allclose(found, want, atol=1e-4)
