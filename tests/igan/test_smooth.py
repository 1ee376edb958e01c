"""Blurred features: weights add up to one, and fine patterns of the grid disappear."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.errors import GanxError
from ganx.igan.config import igan_config
from ganx.igan.rules import build_rules
from ganx.igan.smooth import smoothed


def test_it_is_a_gaussian_away_from_the_edges():
    point = jnp.zeros((1, 15, 15, 1)).at[0, 7, 7, 0].set(1.0)
    out = np.asarray(smoothed(point, 1.0))[0, :, :, 0]
    away = np.arange(15) - 7
    curve = np.exp(-(away**2) / 2) / np.exp(-(away**2) / 2).sum()
    np.testing.assert_allclose(out, np.outer(curve, curve), atol=1e-4)


def test_it_keeps_what_is_flat_and_evens_out_a_chess_board():
    flat = jnp.full((1, 8, 8, 2), 3.0)
    np.testing.assert_allclose(smoothed(flat, 1.5), flat, rtol=1e-5)
    board = (jnp.arange(16)[:, None] + jnp.arange(16)) % 2 * 1.0
    even = smoothed(jnp.stack([board, 1 - board], -1)[None], 1.5)
    np.testing.assert_allclose(even, jnp.full_like(even, 0.5), atol=0.06)


def test_no_width_is_no_change_and_a_negative_one_is_refused():
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    assert smoothed(x, 0.0) is x
    config = igan_config()
    config.igan.smooth = -1.0
    with pytest.raises(GanxError, match="width in positions"):
        build_rules(config)
