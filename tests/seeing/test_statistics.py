"""Tallies, exact moments, FSD and the comparison, against NumPy, SciPy, the goldens and worlds with known truth."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.data.worlds import world
from ganx.metrics.frechet import gaussian_distance
from ganx.seeing import Moments, compare, fsd, tally
from ganx.seeing import tally as tallies
from ganx.seeing.measure import Table, measure, of_masks, of_source
from ganx.seeing.plot import plot
from ganx.seeing.sensitivity import distance_by_size, self_check
from ganx.seeing.tally import _compared, transitions
from ganx.segmenters import ColourOracle
from ganx.training.mesh import batched, make_mesh


def multinomials(n, classes, pixels, seed=0, live=None):
    """Correlated tallies whose rows sum to `pixels`."""
    rng = np.random.default_rng(seed)
    shares = np.exp(2 * rng.normal(size=(n, 3)) @ rng.normal(size=(3, classes)))
    if live is not None:
        shares[:, live:] = 0
    return np.stack([rng.multinomial(pixels, row / row.sum()) for row in shares])


def by_scipy(a, b):
    """The published form, on areas in percent."""
    linalg = pytest.importorskip("scipy.linalg")
    (m1, s1), (m2, s2) = ((x.mean(0), np.cov(x, rowvar=False)) for x in (a, b))
    root = linalg.sqrtm(s1 @ s2)
    if not np.isfinite(root).all():
        root = linalg.sqrtm((s1 + 1e-6 * np.eye(len(s1))) @ (s2 + 1e-6 * np.eye(len(s2))))
    return np.square(m1 - m2).sum() + np.trace(s1) + np.trace(s2) - 2 * np.trace(root).real


def test_tallies_are_counts_in_every_form():
    labels = np.random.default_rng(0).integers(-1, 8, (5, 6, 7))  # -1 and 7 are no classes
    want = np.stack([np.bincount(row[(row >= 0) & (row < 7)], minlength=7) for row in labels.reshape(5, -1)])
    np.testing.assert_array_equal(tally(labels, 7), want)
    np.testing.assert_array_equal(_compared(jnp.asarray(labels.reshape(5, -1)), 7), want)


def test_transitions_say_what_became_of_each_pixel():
    before, after = np.array([[[0, 1, 1, 2]]]), np.array([[[0, 1, 2, 2]]])
    np.testing.assert_array_equal(transitions(before, after, 3)[0], [[1, 0, 0], [0, 1, 1], [0, 0, 1]])


@pytest.mark.parametrize("pixels", [200, 2**16, 2**20])
def test_moments_are_exact_whatever_the_size_of_a_picture(pixels):
    counts = multinomials(300, 6, pixels)
    counts[0] = [pixels, 0, 0, 0, 0, 0]  # the largest tally there can be
    found = Moments.of_counts(counts, pixels)
    np.testing.assert_array_equal(found.square, counts.astype(np.int64).T @ counts)
    np.testing.assert_array_equal(found.total, counts.sum(0))
    areas = 100 * counts / pixels
    np.testing.assert_allclose(found.mean(), areas.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance(), np.cov(areas, rowvar=False), atol=1e-10)


def same(a, b):
    return a.n == b.n and all((getattr(a, k) == getattr(b, k)).all() for k in ("total", "square", "present"))


def test_moments_do_not_depend_on_order_batches_devices_or_interruptions(tmp_path):
    counts = multinomials(272, 5, 4096).astype(np.int32)
    whole = Moments.of_counts(counts, 4096)
    shuffled = counts[np.random.default_rng(1).permutation(272)]
    ones = Moments.empty(5, 4096)
    for row in shuffled[:3]:
        ones = ones.add(row[None])
    sevens = Moments.empty(5, 4096).add(shuffled[3:10])
    ones.merge(sevens).save(tmp_path / "m.npz")
    spread = jax.device_put(shuffled[16:], batched(make_mesh()))
    found = Moments.load(tmp_path / "m.npz").add(spread).add(shuffled[10:16])
    assert same(found, whole)


@pytest.mark.parametrize(
    ("n", "live"), [(400, None), (12, None), (400, 9)], ids=["full", "few images", "absent classes"]
)
def test_the_distance_is_scipys(n, live):
    a, b = (multinomials(n, 20, 4096, seed, live) for seed in (0, 1))
    found = fsd(Moments.of_counts(a, 4096), Moments.of_counts(b, 4096))
    assert found.value == pytest.approx(by_scipy(100 * a / 4096, 100 * b / 4096), rel=1e-6)
    assert found.means + found.covariances == pytest.approx(found.value)


def test_the_distance_where_scipy_gives_up():
    """One class everywhere, and one picture repeated: no spread at all on one side."""
    spread = Moments.of_counts(multinomials(50, 4, 100), 100)
    flat = Moments.of_counts(np.tile([[100, 0, 0, 0]], (50, 1)), 100)
    found = fsd(spread, flat)
    gap = np.square(spread.mean() - flat.mean()).sum()
    assert found.value == pytest.approx(gap + np.trace(spread.covariance()))
    assert fsd(flat, flat).value == 0


def test_the_distance_is_one():
    """Zero to itself, symmetric, blind to the order of classes and images, and of squared units."""
    a, b = (multinomials(100, 7, 256, seed) for seed in (2, 3))
    ma, mb = Moments.of_counts(a, 256), Moments.of_counts(b, 256)
    value = fsd(ma, mb).value
    assert abs(fsd(ma, ma).value) <= 1e-8 * np.trace(ma.covariance())
    assert fsd(mb, ma).value == pytest.approx(value, rel=1e-9)
    order = np.random.default_rng(0).permutation(7)
    turned = fsd(Moments.of_counts(a[::-1, order], 256), Moments.of_counts(b[:, order], 256))
    assert turned.value == pytest.approx(value, rel=1e-9)
    assert fsd(ma, mb, "fraction").value == pytest.approx(value / 1e4, rel=1e-9)
    assert fsd(ma, mb, "pixels").value == pytest.approx(value * 2.56**2, rel=1e-9)


def test_golden_distances(shared):
    folder = shared / "goldens" / "seeing"
    data = np.load(folder / "fsd_inputs.npz")
    moments = {name: Moments.of_counts(data[name].astype(np.int32), 65536) for name in data.files}
    for pair, want in json.loads((folder / "fsd.json").read_text())["pairs"].items():
        found = fsd(*(moments[name] for name in pair.split("|")))
        assert found.value == pytest.approx(want["fsd"], rel=1e-6, abs=2e-8)
        assert found.means == pytest.approx(want["meandiff"], rel=1e-6)
        assert found.sound


def test_golden_label_maps(shared):
    data = np.load(shared / "goldens" / "seeing" / "segmaps.npz")
    counts = np.asarray(tally(data["maps"], 336))
    np.testing.assert_array_equal(counts / 4096, data["tally"])
    real, drawn = (Moments.of_counts(part, 4096) for part in (counts[:12], counts[12:]))
    found = compare(real, {"drawn": drawn}, [str(i) for i in range(336)])
    np.testing.assert_array_equal(found.order, data["order"])
    np.testing.assert_allclose(found.sides["drawn"].delta, data["rel"], rtol=1e-6)


SCENES = world("scenes", size=16)
NAMES = ("none", *SCENES.CLASSES)
COUNT = 2000


@pytest.fixture(scope="module")
def tables():
    """The real scenes, others of the same kind, and those without anyone in them."""
    worlds = {
        "real": SCENES.replace(length=2 * COUNT),
        "same": SCENES.replace(seed=1),
        "nobody": SCENES.replace(seed=1, drop=("person",)),
    }
    return {name: measure(of_masks(w), 2 * COUNT if name == "real" else COUNT, 1000) for name, w in worlds.items()}


def test_a_dropped_class_is_exposed(tables):
    found = compare(tables["real"].moments(), {"g": tables["nobody"].moments()}, NAMES)
    side, row = found.sides["g"], found.row("person")
    assert side.delta[row] == -1
    assert side.presence_delta[row] == -1
    assert side.z[row] < -20
    assert np.argmax(np.abs(side.z)) == row
    assert np.abs(np.delete(side.delta, row)).max() < 0.25
    assert found.names[0] == "sky"
    assert "none" not in found.names


def test_a_half_dropped_class_is_measured_and_the_distance_grows_with_the_drop(tables):
    rng, values = np.random.default_rng(0), []
    full, none = tables["same"].counts, tables["nobody"].counts
    uniform = rng.random(len(full))
    for q in (0, 0.25, 0.5, 0.75, 1):
        counts = np.where((uniform < q)[:, None], none, full)
        moments = Moments.of_counts(counts, 256)
        values.append(fsd(tables["real"].moments(), moments).value)
        if q == 0.5:
            found = compare(tables["real"].moments(), {"g": moments}, NAMES)
            assert -0.6 < found.sides["g"].delta[found.row("person")] < -0.4
    assert values == sorted(values)


def test_two_samples_of_one_world_differ_by_noise_only(tables):
    check = self_check(tables["real"].counts, 256, NAMES)
    assert check.largest_z <= 4
    found = compare(tables["real"].moments(), {"g": tables["same"].moments()}, NAMES).sides["g"]
    assert np.abs(found.z).max() <= 4
    assert found.distance.means < 3 * check.floor
    by_size = distance_by_size(tables["real"].counts, tables["same"].counts, 256, (64, 256, 2000))
    assert list(by_size.values()) == sorted(by_size.values(), reverse=True)
    assert by_size[2000] == pytest.approx(np.mean(check.distance), rel=2)


def test_what_only_a_generator_draws_is_named():
    real = Moments.of_counts(np.array([[0, 4, 0], [0, 3, 0]]), 4)
    drawn = Moments.of_counts(np.array([[0, 2, 2], [0, 4, 0]]), 4)
    found = compare(real, {"g": drawn}, ("none", "sky", "ghost"))
    assert found.names == ("sky",)
    assert found.sides["g"].hallucinated == (("ghost", 25.0),)


def test_the_plot_puts_real_and_drawn_in_their_places(tables):
    found = compare(tables["real"].moments(), {"nobody": tables["nobody"].moments()}, NAMES)
    picture = plot(found, 1)
    column = found.row("person")
    assert picture.shape[2] == 3
    colour = (picture == (214, 92, 46)).all(-1)
    bars = colour[200:440].sum(0)  # the lower panel: only the missing class has a bar of the full height
    assert 62 + 26 * column <= np.argmax(bars) < 62 + 26 * (column + 1)
    assert bars.max() > 110


def test_counting_goes_on_where_it_stopped_and_the_oracle_agrees_with_the_masks(tmp_path, tables):
    source = SCENES.replace(length=40)
    pictures = of_source(source, ColourOracle(SCENES))
    first = measure(pictures, 12, 8, tmp_path / "t.npz")
    both = measure(pictures, 24, 16, tmp_path / "t.npz")
    np.testing.assert_array_equal(both.counts[:12], first.counts)
    np.testing.assert_array_equal(both.counts, Table.load(tmp_path / "t.npz").counts)
    agree = both.counts == tables["real"].counts[:24]
    assert agree.mean() > 0.99
    with pytest.raises(GanxError, match="other pictures"):
        measure(of_masks(source), 4, 4, tmp_path / "t.npz")
    with pytest.raises(GanxError, match="lower --samples"):
        measure(pictures, 41)


def test_what_does_not_fit_is_refused():
    with pytest.raises(GanxError, match="class list"):
        Moments.empty(3, 16).add(np.zeros((2, 4), np.int32))
    with pytest.raises(GanxError, match="a picture has 16"):
        Moments.empty(1, 16).add(np.array([[17]]))
    with pytest.raises(GanxError, match="at least 2"):
        Moments.of_counts(np.array([[16]]), 16).covariance()
    with pytest.raises(GanxError, match="NaN"):
        gaussian_distance(np.array([np.nan]), np.eye(1), np.zeros(1), np.eye(1))
    assert tallies is tally
