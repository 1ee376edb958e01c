"""The averaged generator's schedule."""

import jax.numpy as jnp
import numpy as np
import pytest

from ganx.training.averaging import Averaging
from ganx.training.optimiser import finite


def test_half_life():
    averaging = Averaging(batch=8, kimg=0.05)
    assert float(averaging.decay(7)) == pytest.approx(0.5 ** (8 / 50))
    assert float(Averaging(8, 0.0).decay(3)) == 0.0


def test_ramp_shortens_the_half_life_at_first():
    """StyleGAN2-ADA: min(ema_nimg, cur_nimg * rampup)."""
    averaging = Averaging(batch=10, kimg=1.0, rampup=0.05)
    assert float(averaging.decay(0)) == 0.0
    assert float(averaging.decay(100)) == pytest.approx(0.5 ** (10 / 50))
    assert float(averaging.decay(10**6)) == pytest.approx(0.5 ** (10 / 1000))


def test_warm_start_copies_before_it():
    """BigGAN: a copy until iteration 20,000, then the average."""
    averaging = Averaging(batch=10, kimg=1.0, start=3)
    assert [float(averaging.decay(step)) > 0 for step in range(5)] == [False, False, False, True, True]


@pytest.mark.parametrize(("buffers", "kept"), [("average", 0.5), ("copy", 1.0)])
def test_batch_statistics_are_averaged_or_copied(buffers, kept):
    ema, now = ({k: jnp.full(2, v) for k in ("params", "batch_stats", "spectral")} for v in (0.0, 1.0))
    new = Averaging(batch=1, kimg=0.001, buffers=buffers)(ema, now, 9)
    np.testing.assert_allclose(new["params"], 0.5)
    np.testing.assert_allclose(new["batch_stats"], kept)
    np.testing.assert_allclose(new["spectral"], 1.0)


def test_gradients_are_made_finite_as_published():
    grads = finite({"w": jnp.array([jnp.nan, jnp.inf, -jnp.inf, 2.0])})
    np.testing.assert_array_equal(grads["w"], [0.0, 1e5, -1e5, 2.0])
