"""Inception score, mode coverage, pixel and editing measures, on cases whose answers are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.data.worlds import world
from ganx.metrics import (
    classification_error,
    cmmd,
    edit_locality,
    identity,
    inception_score,
    mae,
    mode_coverage,
    mse,
    psnr,
    rescoring,
    ssim,
)
from ganx.metrics.presets import to_uint8

RANDOM = np.random.default_rng(2)


def test_inception_score_of_known_predictions():
    assert inception_score(np.zeros((50, 7)), 5) == pytest.approx((1, 0))
    sure = np.eye(8).repeat(10, 0).reshape(8, 10, 8).swapaxes(0, 1).reshape(80, 8) * 1000.0
    assert inception_score(sure, 2) == pytest.approx((8, 0))


def test_inception_score_is_the_direct_formula_with_and_without_shuffling():
    logits = RANDOM.normal(size=(103, 9)).astype(np.float32) * 3
    for order in (None, np.random.RandomState(2020).permutation(103)):
        p = np.exp(logits.astype(float) if order is None else logits[order].astype(float))
        p /= p.sum(1, keepdims=True)
        parts = [p[i * 103 // 10 : (i + 1) * 103 // 10] for i in range(10)]
        want = [np.exp((q * (np.log(q) - np.log(q.mean(0)))).sum(1).mean()) for q in parts]
        assert inception_score(logits, 10, order) == pytest.approx((np.mean(want), np.std(want)), abs=1e-6)
    with pytest.raises(GanxError, match="fewer splits"):
        inception_score(logits, 104)


def test_mode_coverage_counts_modes_and_good_samples():
    ring = world("gaussians")
    points = ring.gather(np.arange(4000)).image
    found = mode_coverage(points, ring.centres, ring.deviation)
    assert (found.covered, found.modes) == (8, 8)
    assert found.good == pytest.approx(1 - np.exp(-4.5), abs=0.004)  # of a plane's Gaussian, within three deviations
    assert found.reverse_kl < 0.01
    two = mode_coverage(np.concatenate([ring.centres[:2], [[9.0, 9.0]]]), ring.centres, ring.deviation)
    assert (two.covered, two.good) == (2, pytest.approx(2 / 3))
    assert two.reverse_kl == pytest.approx(np.log(4))
    none = mode_coverage(np.full((3, 2), 9.0), ring.centres, ring.deviation)
    assert (none.covered, none.good, none.reverse_kl) == (0, 0, np.inf)


def test_pixel_measures():
    a = jnp.asarray(RANDOM.uniform(-1, 1, (2, 16, 20, 3)), jnp.float32)
    b = a + 0.1
    np.testing.assert_allclose(mse(a, b), 0.01, rtol=1e-4)
    np.testing.assert_allclose(mae(a, b), 0.1, rtol=1e-4)
    np.testing.assert_allclose(psnr(a, b), 10 * np.log10(4 / 0.01), rtol=1e-4)
    assert np.isinf(psnr(a, a)).all()
    np.testing.assert_allclose(ssim(a, a), 1, atol=1e-5)
    with pytest.raises(GanxError, match="smaller than SSIM"):
        ssim(a[:, :8], a[:, :8])


def test_ssim_is_its_definition_at_one_window():
    """One position, by hand in float64: weighted means, variances and covariance of an 11 x 11 window."""
    a, b = RANDOM.uniform(0, 1, (2, 11, 11))
    w = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    w = np.outer(w, w) / w.sum() ** 2
    ma, mb = (w * a).sum(), (w * b).sum()
    va, vb, c = (w * a * a).sum() - ma**2, (w * b * b).sum() - mb**2, (w * a * b).sum() - ma * mb
    want = (2 * ma * mb + 1e-4) * (2 * c + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    np.testing.assert_allclose(ssim(a[None, :, :, None], b[None, :, :, None], span=1.0), want, rtol=1e-4)


def test_the_two_ways_to_quantise_are_half_a_step_apart():
    x = jnp.linspace(-1.2, 1.2, 4001)
    ada, seeing = (np.asarray(to_uint8(x, how), int) for how in ("ada", "seeing"))
    assert (ada.min(), ada.max(), seeing.max()) == (0, 255, 255)
    assert set(np.unique(ada - seeing)) == {0, 1}
    assert np.asarray(to_uint8(jnp.asarray([-1.0, 0.0, 1.0]))).tolist() == [0, 128, 255]


def test_locality_is_zero_inside_the_mask_and_large_outside():
    before = RANDOM.uniform(-1, 1, (3, 8, 8, 3))
    mask = np.zeros((3, 8, 8), bool)
    mask[:, 2:5, 2:5] = True
    inside, outside = before + 0.5 * mask[..., None], before + 0.5 * ~mask[..., None] + 0.01 * mask[..., None]
    assert edit_locality(before, inside, mask).ratio == 0
    assert edit_locality(before, outside, mask).ratio == pytest.approx(2500, rel=1e-3)
    assert edit_locality(before, before, mask).still == 3
    scaled = edit_locality(10 * before, 10 * outside, mask)
    assert scaled.ratio == pytest.approx(edit_locality(before, outside, mask).ratio, rel=1e-6)
    with pytest.raises(GanxError, match="empty"):
        edit_locality(before, inside, np.zeros_like(mask))


def test_identity_finds_its_threshold_from_impostors():
    people = RANDOM.normal(size=(200, 16))
    close, strangers = people + 0.1 * RANDOM.normal(size=people.shape), np.roll(people, 1, 0)
    found = identity(close, people, impostors=(people, strangers))
    assert found.accuracy == 1
    assert found.auc == 1
    assert (identity(people, strangers, threshold=found.threshold).accuracy) <= 0.015
    assert identity(people, strangers, impostors=(people, strangers)).auc == pytest.approx(0.5)
    with pytest.raises(GanxError, match="threshold= or impostors="):
        identity(close, people)


def test_rescoring_and_classification_error():
    minus, plus = np.zeros((2, 50, 2)), np.zeros((2, 50, 2))
    plus[0, :, 0], plus[1, :, 1], plus[1, :, 0] = 0.8, 0.3, 0.1
    found = rescoring(minus, plus)
    np.testing.assert_allclose(found.change, [[0.8, 0], [0.1, 0.3]])
    np.testing.assert_allclose(found.dominance, [1, 0.75])
    asked = {"hair": np.array([0, 1, 2, 3]), "smile": np.array([1, 1, 0, 0])}
    read = {"hair": np.array([0, 1, 2, 0]), "smile": np.array([1, 0, 0, 1]), "age": np.zeros(4)}
    error = classification_error(read, asked, (read, asked))
    assert (error.each, error.joint) == ({"hair": 0.25, "smile": 0.5}, 0.5)
    assert error.own == error.each
    with pytest.raises(GanxError, match="does not read hat"):
        classification_error(read, {"hat": np.zeros(4)})


def test_cmmd_is_the_biased_statistic():
    x, y = RANDOM.normal(size=(30, 6)), RANDOM.normal(size=(40, 6)) + 1
    u, v = (e / np.linalg.norm(e, axis=1, keepdims=True) for e in (x, y))

    def k(a, b):
        return np.exp(-np.square(a[:, None] - b[None]).sum(-1) / 200).mean()

    assert cmmd(x, y) == pytest.approx(1000 * (k(u, u) + k(v, v) - 2 * k(u, v)), rel=1e-9)
    assert cmmd(x, x) == pytest.approx(0, abs=1e-9)
