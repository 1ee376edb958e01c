"""KID, precision, recall, density and coverage: against the definitions, and where they trip."""

import jax
import numpy as np
import pytest

from ganx import GanxError
from ganx.metrics import kid, kid_full, manifold
from ganx.metrics.manifold import radii
from ganx.training.mesh import make_mesh

RANDOM = np.random.default_rng(1)
REAL = RANDOM.normal(size=(150, 5)).astype(np.float32)
FAKE = (RANDOM.normal(size=(130, 5)) * 1.2 + 0.3).astype(np.float32)


def distances(a, b):
    return np.linalg.norm(a[:, None].astype(float) - b[None], axis=-1)


def defined(real, fake, k):
    """The papers' definitions in float64, all distances at once."""
    across = distances(fake, real)
    in_real, in_fake = (np.sort(distances(a, a), 1)[:, k] for a in (real, fake))
    return {
        "precision": (across <= in_real).any(1).mean(),
        "recall": (in_fake >= across.T).any(1).mean(),
        "density": (across < in_real).sum() / (k * len(fake)),
        "coverage": (in_real[:, None] > across.T).any(1).mean(),
    }


@pytest.mark.parametrize(
    "options", [{"block": 32}, {"block": 1000}, {"block": 50, "exact": True}, {"mesh": True}], ids=str
)
def test_it_is_what_the_papers_define_whatever_the_blocks_and_devices(options):
    options = {**options, "mesh": make_mesh()} if "mesh" in options else options
    found = manifold(REAL, FAKE, k=4, **options)
    for name, want in defined(REAL, FAKE, 4).items():
        assert getattr(found, name) == pytest.approx(want, abs=1e-12), name
    assert 0.2 < found.recall < found.precision + 0.5


def test_a_set_against_itself_is_perfect():
    for k in (3, 5):
        found = manifold(REAL, REAL, k=k, block=64)
        assert (found.precision, found.recall, found.density, found.coverage) == (1, 1, 1, 1)


def test_neighbours_are_found_in_blocks_smaller_than_their_number():
    want = np.sort(np.square(distances(REAL[:20], REAL[:20])), 1)[:, 5]
    for block in (3, 64):
        np.testing.assert_allclose(radii(REAL[:20], 5, block=block), want, rtol=1e-4)


def test_copies_count_as_within_unless_strict():
    """With k copies of each point the balls have radius 0: <= finds them, < does not."""
    copies = REAL[:20].repeat(4, 0)
    loose, strict = (manifold(copies, copies[::2], k=1, strict=s, exact=True) for s in (False, True))
    assert (loose.precision, loose.recall) == (1, 1)
    assert (strict.precision, strict.recall, strict.density, strict.coverage) == (0, 0, 0, 0)


def test_a_far_offset_loses_no_digits():
    """Features are centred first; without that, squares near 1e8 would drown distances near 1."""
    near, far = radii(REAL, 3), radii((REAL + 1e4 - np.float32((REAL + 1e4).mean(0))), 3)
    np.testing.assert_allclose(far, near, rtol=1e-2)
    want = defined(REAL + np.float32(1e3), FAKE + np.float32(1e3), 3)
    found = manifold(REAL + np.float32(1e3), FAKE + np.float32(1e3), k=3)
    assert found.precision == pytest.approx(want["precision"], abs=1e-12)


def test_too_few_or_unlike_features_are_refused():
    with pytest.raises(GanxError, match="needs 4 images"):
        manifold(REAL[:3], FAKE, k=3)
    with pytest.raises(GanxError, match="wide"):
        manifold(REAL, FAKE[:, :3])
    with pytest.raises(GanxError, match="wide"):
        kid_full(REAL, FAKE[:, :3])
    with pytest.raises(GanxError, match="need a key"):
        kid(REAL, FAKE)


def cubes(a, b):
    return (a.astype(float) @ b.T.astype(float) / a.shape[1] + 1) ** 3


def naive_kid(x, y):
    n, m = len(x), len(y)
    within = [cubes(a, a).sum() - np.trace(cubes(a, a)) for a in (x, y)]
    return within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * cubes(x, y).mean()


def test_the_full_kernel_distance_is_the_double_sum_on_any_devices_and_blocks():
    want = naive_kid(REAL, FAKE)
    for options in ({"block": 41}, {"block": 500}, {"block": 64, "mesh": make_mesh()}):
        assert kid_full(REAL, FAKE, **options) == pytest.approx(want, abs=1e-6)


def test_the_kernel_distance_of_equal_distributions_is_about_zero_on_average():
    draws = RANDOM.normal(size=(2, 2000, 5)).astype(np.float32)
    mean, spread = kid(*draws, subsets=60, size=200, key=jax.random.key(0))
    assert abs(mean) < 4 * spread / np.sqrt(60) + 0.01
    assert kid(REAL, FAKE, subsets=60, size=200, key=jax.random.key(0))[0] > mean + 0.05
    again = kid(*draws, subsets=60, size=200, key=jax.random.key(0))
    assert again == (mean, spread)


def test_they_answer_to_lost_modes_and_to_noise():
    centres = RANDOM.normal(size=(5, 6)) * 4

    def draw(kept, noise=1.0):
        modes = centres[:kept].repeat(300 // kept, 0)
        return (modes + noise * RANDOM.normal(size=modes.shape)).astype(np.float32)

    real = draw(5)
    lost = [manifold(real, draw(kept), k=5) for kept in (5, 3, 1)]
    assert [m.recall for m in lost] == sorted((m.recall for m in lost), reverse=True)
    assert [m.coverage for m in lost] == sorted((m.coverage for m in lost), reverse=True)
    assert lost[0].coverage - lost[2].coverage > 0.5
    distances = [kid_full(real, draw(kept)) for kept in (5, 3, 1)]
    assert distances == sorted(distances)
    noisy = [manifold(real, draw(5, noise), k=5) for noise in (1.0, 2.0, 4.0)]
    assert [m.precision for m in noisy] == sorted((m.precision for m in noisy), reverse=True)
    assert [m.density for m in noisy] == sorted((m.density for m in noisy), reverse=True)
