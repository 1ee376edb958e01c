"""The Fréchet distance where other codes fail, and moments that no batch, order or device changes."""

import jax
import numpy as np
import pytest
import scipy.linalg

from ganx import GanxError
from ganx.metrics import Moments, frechet, moments
from ganx.metrics.moments import add, finish, start

RANDOM = np.random.default_rng(0)
A = RANDOM.normal(size=(600, 24)) @ RANDOM.normal(size=(24, 24)) + 3
B = RANDOM.normal(size=(500, 24)) @ RANDOM.normal(size=(24, 24))


def test_it_equals_the_matrix_square_root_in_full_rank():
    a, b = np.cov(A.T), np.cov(B.T)
    root = np.real(scipy.linalg.sqrtm(a @ b))
    want = np.square(A.mean(0) - B.mean(0)).sum() + np.trace(a + b - 2 * root)
    assert frechet(moments(A.astype(np.float32)), moments(B.astype(np.float32))).value == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize(
    ("x", "y"),
    [(A[:10], B[:9]), (A, A), (A[:10], A[:10]), (A[:1].repeat(20, 0), B), (A[:1].repeat(20, 0), A[:1].repeat(30, 0))],
    ids=["fewer than features", "equal", "equal and few", "one image repeated", "twice one image"],
)
def test_it_is_finite_and_not_negative_where_covariances_are_singular(x, y):
    a, b = moments(x.astype(np.float32)), moments(y.astype(np.float32))
    found = frechet(a, b)
    assert np.isfinite(found.value)
    assert found.sound
    assert found.value >= -1e-6 * np.trace(a.covariance + b.covariance)
    assert found.value == pytest.approx(frechet(b, a).value, rel=1e-8, abs=1e-8)


def test_moments_do_not_depend_on_the_batch_and_stand_a_large_mean():
    x = (50 + 0.3 * RANDOM.normal(size=(3000, 8))).astype(np.float32)
    want = np.cov(x.astype(np.float64).T)
    for batch in (64, 3000):
        found = moments(x, batch=batch)
        assert found.count == 3000
        np.testing.assert_allclose(found.mean, x.mean(0, dtype=np.float64), rtol=1e-7)
        assert np.linalg.norm(found.covariance - want) < 1e-6 * np.linalg.norm(want)


def test_one_and_eight_devices_give_the_same_moments():
    from ganx.training.mesh import batched, make_mesh

    x, mesh = A[:512].astype(np.float32), make_mesh()
    mask = np.arange(512) < 500
    one = finish(add(start(x[:20].mean(0)), x, mask))
    eight = finish(add(start(x[:20].mean(0)), *jax.device_put((x, mask), batched(mesh))))
    assert (one.count, eight.count) == (500, 500)
    np.testing.assert_allclose(eight.mean, one.mean, rtol=1e-6)
    assert np.linalg.norm(eight.covariance - one.covariance) < 1e-6 * np.linalg.norm(one.covariance)


def test_statistics_are_read_and_written_in_the_layout_of_pytorch_fid(tmp_path):
    np.savez(tmp_path / "theirs.npz", mu=A.mean(0), sigma=np.cov(A.T))
    theirs, ours = Moments.load(tmp_path / "theirs.npz"), moments(A.astype(np.float32))
    assert frechet(theirs, ours).value == pytest.approx(0, abs=1e-6 * np.trace(ours.covariance))
    ours.save(tmp_path / "ours.npz")
    again = Moments.load(tmp_path / "ours.npz")
    assert (again.count, again.ddof) == (600, 1)
    np.testing.assert_array_equal(again.covariance, ours.covariance)
    with pytest.raises(GanxError, match="do not say of how many images"):
        theirs.with_ddof(0)
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(GanxError, match=r"holds no statistics.*give an \.npz"):
        Moments.load(tmp_path / "bad.npz")


def test_what_does_not_compare_is_refused():
    a, b = moments(A.astype(np.float32)), moments(B[:, :20].astype(np.float32))
    with pytest.raises(GanxError, match="24 and 20 wide"):
        frechet(a, b)
    with pytest.raises(GanxError, match="under one preset"):
        frechet(a, a.with_ddof(0))
    with pytest.raises(GanxError, match="two images or more, not 1"):
        moments(A[:1].astype(np.float32))
    with pytest.raises(GanxError, match="not finite"):
        moments(np.full((4, 3), np.nan, np.float32))


def test_the_distance_grows_as_modes_go_missing():
    centres = RANDOM.normal(size=(6, 8)) * 3
    everything = (centres.repeat(200, 0) + RANDOM.normal(size=(1200, 8))).astype(np.float32)
    distances = [frechet(moments(everything), moments(everything[: 200 * kept])).value for kept in (6, 5, 4, 3, 2)]
    assert distances == sorted(distances)
    assert distances[1] > 0.1 > abs(distances[0])
