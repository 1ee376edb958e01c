"""Every measure answers to what it is for: lost modes and added noise (six normals in twelve dimensions)."""

import numpy as np
import pytest

from ganx.metrics import frechet, kid_full, manifold, moments
from ganx.seeing import Moments, fsd

MODES, WIDTH, EACH = 6, 12, 80


def mixture(seed, modes, noise=0.0):
    """480 points float32 of the first `modes` modes, equally many of each, and the mode of each point."""
    random = np.random.default_rng(seed)
    which = np.arange(MODES * EACH) % modes
    points = 6 * np.eye(MODES, WIDTH)[which] + random.normal(size=(len(which), WIDTH))
    return (points + noise * random.normal(size=points.shape)).astype(np.float32), which


def pictures(seed, which):
    """Tallies of pictures of 100 pixels: half of one is the class of its mode, the rest is of any class."""
    random = np.random.default_rng(seed)
    counts = random.multinomial(50, np.full(MODES, 1 / MODES), size=len(which))
    counts[np.arange(len(which)), which] += 50
    return Moments.of_counts(counts, 100)


def test_distances_rise_and_recall_and_coverage_fall_as_modes_are_lost():
    real, which = mixture(0, MODES)
    truth = pictures(0, which)
    found = []
    for modes in (6, 5, 4, 2, 1):
        fake, of = mixture(1, modes)
        near = manifold(real, fake, k=5)
        distance, parts = frechet(moments(real), moments(fake)).value, fsd(truth, pictures(1, of)).value
        found.append((distance, kid_full(real, fake), parts, -near.recall, -near.coverage))
        assert near.recall == pytest.approx(modes / MODES, abs=0.12)
        assert near.coverage == pytest.approx(modes / MODES, abs=0.12)
    assert (np.diff(found, axis=0) > 0).all(), found


def test_precision_and_density_fall_as_noise_is_added():
    real = mixture(0, MODES)[0]
    found = [manifold(real, mixture(1, MODES, noise)[0], k=5) for noise in (0.0, 0.5, 1.0, 2.0)]
    for name in ("precision", "density"):
        assert (np.diff([getattr(each, name) for each in found]) < 0).all(), name
    # without noise an eighth of the points still lies in no ball: 480 are few for twelve dimensions
    assert found[0].precision > 0.8 > 0.1 > found[-1].precision
