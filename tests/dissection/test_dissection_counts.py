"""Counts, scores, quantiles and upsampling: exact, and equal to the authors' own."""

import jax
import numpy as np
import pytest

from ganx.dissection import curves, quantiles, top
from ganx.dissection import tally as tallying
from ganx.dissection.scores import Counts, information_quality
from ganx.dissection.tally import empty, tally
from ganx.dissection.upsample import upsample
from ganx.errors import GanxError
from ganx.models.upernet import UPerNet


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "goldens/dissection/tally.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("kernel", ["dense", "packed"])
@pytest.mark.parametrize("q", ["0.005", "0.01", "0.05"])
def test_tallies_are_those_of_the_authors_code(golden, kernel, q):
    features, labels = golden["features"].transpose(0, 2, 3, 1), golden["seg"].astype(np.int32)
    counts = tally(features, labels, golden[f"q{q}_levels"], golden["label_category"], kernel=kernel)
    np.testing.assert_array_equal(counts.intersection, golden[f"q{q}_intersection_counts"])
    np.testing.assert_array_equal(counts.label_area, golden[f"q{q}_label_counts"])
    np.testing.assert_array_equal(counts.unit_area, golden[f"q{q}_category_activation_counts"])
    np.testing.assert_array_equal(counts.total, golden[f"q{q}_total_counts"])
    np.testing.assert_allclose(counts.iou(), golden[f"q{q}_iou"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(counts.iqr(), golden[f"q{q}_iqr"], rtol=0, atol=1e-15)


def test_thresholds_by_quality_agree_with_the_authors_code_to_its_sketch(golden):
    features, labels = golden["features"].transpose(0, 2, 3, 1), golden["seg"].astype(np.int32)
    values = np.asarray(upsample(features, (32, 32))).transpose(1, 0, 2, 3).reshape(24, -1)
    levels = quantiles.hazen(values.T, 1 - golden["fracs"]).astype(np.float32)
    found = curves.Curves(levels, golden["label_category"])
    found.add(features, labels)
    choice = curves.choose(found.counts(), levels, found.pixels, "gandissect")
    apart = np.abs(choice.iqr - golden["iqrfull_max_iqr"])
    assert apart.max() < 0.04  # its estimates come from samples of the activations
    assert np.median(apart) < 1e-3


def naive(features, labels, thresholds, category):
    """Pixel by pixel."""
    total = empty(category, len(thresholds))
    for maps, seg in zip(features, labels, strict=True):
        active = np.asarray(upsample(maps, seg.shape[1:])) > thresholds[:, None, None]
        kinds = {int(category[label]) for label in seg.ravel()}
        for kind in kinds:
            total.total[kind] += seg[0].size
            total.unit_area[kind] += active.sum((1, 2))
        for y in range(seg.shape[1]):
            for x in range(seg.shape[2]):
                for label in seg[:, y, x]:
                    total.label_area[label] += 1
                for label in set(seg[:, y, x].tolist()) - {0}:
                    total.intersection[label] += active[:, y, x]
    return total


@pytest.mark.parametrize(("n", "k", "units", "size"), [(3, 2, 3, (7, 5)), (3, 1, 1, (8, 9)), (5, 3, 4, (6, 6))])
def test_both_kernels_count_like_a_loop_over_pixels(n, k, units, size):
    rng = np.random.default_rng(n)
    features = rng.normal(size=(n, 3, 4, units)).astype(np.float32)
    labels = rng.integers(0, 6, (n, k, *size)).astype(np.int32)  # labels 6 and 7 occur nowhere
    category = np.array([0, 0, 1, 1, 2, 2, 2, 3])
    thresholds = np.array([0.3, 99, -0.2, 0][:units], np.float32)  # unit 1 is never active
    want = naive(features, labels, thresholds, category)
    for kernel in ("dense", "packed"):
        got = tally(features, labels, thresholds, category, kernel=kernel)
        cut = tally(features[:2], labels[:2], thresholds, category, kernel=kernel) + tally(
            features[2:], labels[2:], thresholds, category, kernel=kernel
        )
        keep = np.arange(n) < n
        padded = [np.concatenate([x, x[:1]]) for x in (features, labels)]
        masked = tally(*padded, thresholds, category, np.append(keep, False), kernel=kernel)
        for name in ("intersection", "label_area", "unit_area", "total"):
            for counts in (got, cut, masked):
                np.testing.assert_array_equal(getattr(counts, name), getattr(want, name), err_msg=f"{kernel} {name}")


@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize(
    ("maps", "size"), [((8, 8), (64, 64)), ((6, 5), (37, 29)), ((12, 10), (5, 6)), ((4, 8), (40, 9))]
)
def test_tiles_hold_what_is_upsampled(maps, size, padding):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, *maps, 7)).astype(np.float32)
    features[..., 3] = features[..., 3].clip(0)
    features[..., 4] = 0.7
    thresholds = np.array([-0.61, 1.13, 3.0, 0, 0.5, -1.7, 0.01], np.float32)
    labels = rng.integers(0, 5, (2, 2, *size)).astype(np.int32)
    category = np.array([0, 0, 1, 1, 2])
    one, two = (tally(features, labels, thresholds, category, padding=padding, kernel=k) for k in ("dense", "packed"))
    for name in ("intersection", "label_area", "unit_area", "total"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
    assert two.unit_area[0, 5] > two.unit_area[0, 1] > two.unit_area[0, 2]


def test_counting_is_a_tenth_of_the_loops_work_or_less(monkeypatch):
    """§14 H on CPU, in numbers that are read or written; `scripts/bench/dissection.py` has the times."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1, 8, 8, 64)).astype(np.float32)
    labels = (1 + np.arange(16).reshape(4, 4) + 20 * np.arange(2)[:, None, None]).repeat(32, 1).repeat(32, 2)[None]
    active = np.asarray(upsample(features[0], (128, 128))).reshape(64, -1)
    work = []
    watched = {name: getattr(tallying, name) for name in ("pack", "_count")}
    for name, function in watched.items():
        monkeypatch.setattr(tallying, name, lambda x, f=function: (work.append(x.size), f(x))[1])
    counts = tally(features, labels.astype(np.int32), np.quantile(active, 0.99, 1), np.zeros(40, int), kernel="packed")
    assert counts.intersection.sum() == 2 * counts.unit_area.sum() > 0
    assert 10 * sum(work) < active.size * (1 + 32)


def test_counts_at_many_thresholds_are_tallies():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3, 4, 4, 2)).astype(np.float32)
    labels = rng.integers(0, 4, (3, 2, 8, 8)).astype(np.int32)
    levels = np.array([[0.5, -0.5, 0.0], [1.0, 0.2, 0.2]], np.float32)
    category = np.array([0, 0, 1, 1])
    found = curves.Curves(levels, category)
    found.add(features, labels)
    counts = found.counts()
    step = np.array([[2, 0], [0, 1], [1, 2], [2, 2]])
    picked = curves.at(counts, step)
    for label in range(1, 4):
        thresholds = levels[[0, 1], step[label]]
        alone = tally(features, labels, thresholds, category)
        np.testing.assert_array_equal(picked.intersection[label], alone.intersection[label])
        np.testing.assert_allclose(picked.iou()[label], alone.iou()[label])
    np.testing.assert_array_equal(
        counts.unit_area.reshape(2, 2, 3)[:, :, 1], tally(features, labels, levels[:, 1], category).unit_area
    )


def test_totals_of_large_runs_do_not_overflow():
    one = Counts(*(np.full(s, 256 * 256 * 60_000, np.int64) for s in ((1, 1), (1,), (1, 1), (1,))), np.zeros(1, int))
    assert (one + one).total[0] == 2 * 256 * 256 * 60_000 > 2**31


def test_quality_is_one_for_equal_and_zero_for_independent_variables():
    assert information_quality(30, 0, 0, 100) == pytest.approx(1)
    assert information_quality(25, 25, 25, 100) == pytest.approx(0, abs=1e-12)
    assert information_quality(0, 0, 0, 100) == 0


@pytest.mark.parametrize("case", ["4x4_16x16", "8x8_32x32", "8x8_64x64", "4x6_20x30"])
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_upsampling_is_the_authors(shared, case, padding):
    with np.load(shared / "goldens/dissection/upsample.npz") as file:
        source, want = file[f"in_{case}"], file[f"{padding}_{case}"]
    np.testing.assert_allclose(upsample(source.transpose(0, 2, 3, 1), want.shape[2:], padding), want, atol=1e-5)


def test_quantiles_and_top_are_the_authors(shared):
    with np.load(shared / "goldens/dissection/quantile_topk.npz") as file:
        x, p, want = file["x"], file["ps"], file["q_small"]
        values, k, best, where = file["topk_in"], int(file["topk_k"]), file["topk_val"], file["topk_idx"]
    inside = (p >= 0.005) & (p <= 0.995)
    np.testing.assert_allclose(quantiles.hazen(x, p[inside]), want[:, inside], atol=1e-6)
    found = top.none_yet(values.shape[1])
    for start in range(0, len(values), 50):
        part = values[start : start + 50]
        found = top.merge(found, part, np.arange(start, start + len(part)), k)
    np.testing.assert_array_equal(found.values, best)
    np.testing.assert_array_equal(found.index, where)


def test_streamed_quantiles_are_exact_whatever_the_values():
    rng = np.random.default_rng(1)
    normal = rng.normal(size=5000).astype(np.float32)
    sparse = np.where(rng.random(5000) < 0.9, 0, normal).clip(0)
    x = np.stack([normal, np.exp(normal), sparse, np.full(5000, 3.5, np.float32)])
    blocks = lambda: iter([x[:, :1234], x[:, 1234:]])  # noqa: E731
    for p in (0.0, 0.3, 0.99, 0.995, 1.0):
        np.testing.assert_allclose(quantiles.quantile(blocks, p), quantiles.hazen(x.T, [p])[:, 0], rtol=1e-12)
    p = np.linspace(0.05, 0.95, 10)
    value, error = quantiles.streamed(blocks, p)
    ranks = np.stack([[(row <= v).mean() for v in vs] for row, vs in zip(x, value, strict=True)])
    assert (np.abs(ranks - p)[:2] <= error[:2] + 1 / 5000).all()  # a rank is a whole number of values
    assert error[:2].max() < 2e-3
    np.testing.assert_allclose(value, np.sort(x, 1)[:, np.floor(p * 5000 - 0.5).astype(int)], rtol=2**-14)
    np.testing.assert_array_equal(value[2, p < 0.9], 0)
    np.testing.assert_array_equal(error[2, p < 0.9], 0)


def test_ranks_of_many_values_are_right_to_a_ten_thousandth():
    """§12.2: the error of the candidates' ranks, stated and true."""
    rng = np.random.default_rng(2)
    x = np.stack([rng.normal(size=200_000), np.exp(rng.normal(size=200_000))]).astype(np.float32)
    p = 1 - curves.FRACTIONS
    value, error = quantiles.streamed(lambda: iter(np.array_split(x, 7, 1)), p)
    ranks = np.stack([np.searchsorted(row, v) for row, v in zip(np.sort(x), value, strict=True)]) / 200_000
    assert error.max() <= 1e-4
    assert np.abs(ranks - p).max() <= 1e-4
    assert (np.abs(ranks - p) <= error + 1 / 200_000).all()


def test_what_is_no_number_is_refused():
    for bad in (np.nan, np.inf):
        with pytest.raises(GanxError, match="NaN or Inf"):
            quantiles.hazen(np.array([[bad]]), [0.5])


def test_a_tally_is_cheaper_than_the_segmenter():
    """§14 H on accelerators, by the compiler's count: 512 units, 1,729 labels, 64², against UPerNet, 256²."""
    net = UPerNet()
    image = jax.ShapeDtypeStruct((1, 256, 256, 3), np.float32)
    variables = jax.eval_shape(net.init, jax.random.key(0), image)
    segmenter = jax.jit(net.apply).lower(variables, image).cost_analysis()["flops"]
    shapes = ((1, 8, 8, 512), np.float32), ((1, 5, 64, 64), np.int32), ((512,), np.float32), ((1,), bool)
    maps, labels, thresholds, keep = (jax.ShapeDtypeStruct(*shape) for shape in shapes)
    lowered = tallying._dense.lower(maps, labels, thresholds, (0,) * 1729, keep, "border")
    assert 1e9 < lowered.cost_analysis()["flops"] < segmenter / 2
