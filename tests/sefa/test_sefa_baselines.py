"""InterFaceGAN and GANSpace against what they must find, and their solvers against the conditions of an optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.models import init_gan
from ganx.sefa.batches import draw_samples
from ganx.sefa.ganspace import ganspace, styles
from ganx.sefa.interfacegan import boundary, interfacegan, interpolate, project
from ganx.sefa.pca import principal_components
from ganx.sefa.predictors import Predictor
from ganx.sefa.svm import logistic, support_vectors


@pytest.fixture(scope="module")
def overlapping():
    rng = np.random.default_rng(0)
    positive = rng.random(300) < 0.4
    return rng.normal(size=(300, 5)) + 0.7 * positive[:, None], positive


@pytest.mark.parametrize("c", [1.0, 0.05])
def test_the_machine_is_at_its_optimum(overlapping, c):
    """The dual's optimality conditions: samples outside the margin pull nothing, those inside pull fully."""
    x, positive = overlapping
    found = support_vectors(x, positive, c)
    y = np.where(positive, 1, -1)
    slack = 1 - y * (x @ found.weights + found.intercept)
    inside, on = slack > 1e-6, np.abs(slack) <= 1e-6
    rest = found.weights - c * (y[inside] @ x[inside])  # what the samples on the margin must add
    pulls, *_ = np.linalg.lstsq(
        np.c_[x[on], np.ones(on.sum())].T * y[on], np.r_[rest, -c * y[inside].sum()], rcond=None
    )
    assert on.sum() <= 6
    assert pulls.min() >= -1e-6
    assert pulls.max() <= c + 1e-6
    np.testing.assert_allclose((pulls * y[on]) @ x[on], rest, atol=1e-6)


def test_logistic_regression_is_at_its_optimum(overlapping):
    x, positive = overlapping
    found = logistic(x, positive, 2.0)
    chance = 1 / (1 + np.exp(-(x @ found.weights + found.intercept)))
    np.testing.assert_allclose(found.weights, 2.0 * x.T @ (positive - chance), atol=1e-6)
    assert abs((positive - chance).sum()) <= 1e-6


def test_planes_of_attributes_are_found_and_named():
    """A linear attribute of a linear generator has a known plane."""
    gan = init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 6}, jax.random.key(0))
    predictor = Predictor(("bright", "never"), lambda x: jnp.stack([x.mean((1, 2, 3)), 0 * x[:, 0, 0, 0]], 1))
    found = interfacegan(gan, predictor, jax.random.key(1), n=1024, ratio=0.1)
    assert found.names == ("bright",)
    assert found.values[0] > 0.9
    z = gan.latents(jax.random.key(2), 64)
    up, down = (np.asarray(gan(z + s * found.vectors[0])).mean((1, 2, 3)) for s in (1.0, -1.0))
    assert (up > down).mean() > 0.9
    with pytest.raises(GanxError, match="never changes"):
        interfacegan(gan, predictor, jax.random.key(1), n=64, attributes=("never",))


def test_attributes_of_hardly_any_sample_are_left_out():
    """One picture in a thousand wears a hat: there is no plane for it, and the others are found all the same."""
    gan = init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 6}, jax.random.key(0))
    brightest = np.asarray(gan(draw_samples(gan, jax.random.key(1), 256).z)).mean((1, 2, 3)).max()

    def score(x):
        bright = x.mean((1, 2, 3))
        return jnp.stack([bright, bright > brightest - 1e-6], 1).astype(jnp.float32)

    predictor = Predictor(("bright", "hat"), score)
    assert interfacegan(gan, predictor, jax.random.key(1), n=256, ratio=0.1).names == ("bright",)
    with pytest.raises(GanxError, match="draw more"):
        interfacegan(gan, predictor, jax.random.key(1), n=256, ratio=0.1, attributes=("hat",))


@pytest.mark.parametrize(("scores", "message"), [(np.zeros(50), "score alike"), (np.arange(40.0), "as many scores")])
def test_useless_scores_are_refused(scores, message):
    with pytest.raises(GanxError, match=message):
        boundary(np.ones((50, 3)), scores, ratio=0.2)


def test_projections_leave_the_conditions_alone():
    """Acceptance check 12, with conditions that repeat each other."""
    rng = np.random.default_rng(1)
    n, conditions = rng.normal(size=16), rng.normal(size=(5, 16))
    conditions = np.concatenate([conditions, conditions[:1] + conditions[1:2]])
    found = project(n, conditions)
    assert np.abs(conditions / np.linalg.norm(conditions, axis=1, keepdims=True) @ found).max() <= 1e-6
    assert abs(np.linalg.norm(found) - 1) <= 1e-6
    assert found @ n > 0
    with pytest.raises(GanxError, match="nothing of the direction"):
        project(conditions[0], conditions)


def test_absolute_steps_hit_their_distances():
    rng = np.random.default_rng(2)
    n = rng.normal(size=32).astype(np.float32)
    n /= np.linalg.norm(n)
    code = 5 * rng.normal(size=(3, 32)).astype(np.float32)
    line = interpolate(code, n, -2.0, 2.0, 5)
    np.testing.assert_allclose(line @ n, np.broadcast_to(np.linspace(-2, 2, 5), (3, 5)), atol=1e-5)
    np.testing.assert_allclose(interpolate(code, n, -2.0, 2.0, 5, "relative")[:, 2], code)


@pytest.fixture(scope="module")
def mapped():
    return init_gan("stylegan2", {"resolution": 8, "latent": 16, "style": 16, "mapping_layers": 2}, jax.random.key(0))


def test_streamed_components_are_those_of_all_samples(mapped):
    """Acceptance check 12: the styles' principal components and deviations."""
    found = ganspace(mapped, jax.random.key(3), n=10_000, k=4)
    cloud = np.concatenate([np.asarray(b) for b in styles(mapped, jax.random.split(jax.random.key(3), 3)[0], 10_000)])
    values, columns = np.linalg.eigh(np.cov(cloud.T.astype(np.float64)))
    full, values = columns.T[::-1][:4], values[::-1]
    assert (1 - np.abs((found.vectors * full).sum(1))).max() <= 1e-6
    np.testing.assert_allclose(found.values, values[:4] / values.sum(), rtol=1e-5)
    np.testing.assert_allclose(found.scales, np.sqrt(values[:4]), rtol=0.03)  # of 5,000 other samples
    with pytest.raises(GanxError, match="stage out"):
        ganspace(mapped, jax.random.key(3), k=4, stage="layer0")


@pytest.mark.parametrize("largest", [50, 30], ids=["fewer samples than features", "many of both"])
def test_wide_samples_have_the_same_components(monkeypatch, largest):
    """Whatever is too large for a covariance is decomposed otherwise, and found all the same."""
    rng = np.random.default_rng(4)
    x = (rng.normal(size=(45, 60)) * 1.2 ** -np.arange(60) @ np.linalg.qr(rng.normal(size=(60, 60)))[0] + 3).astype("f")
    batches = lambda: iter([jnp.asarray(x[:15]), jnp.asarray(x[15:30]), jnp.asarray(x[30:])])  # noqa: E731
    covariance = principal_components(batches, 4)
    monkeypatch.setattr("ganx.sefa.pca.LARGEST", largest)
    other = principal_components(batches, 4)
    np.testing.assert_allclose(other.mean, x.mean(0, dtype=np.float64), atol=1e-5)
    np.testing.assert_allclose(other.deviations, covariance.deviations, rtol=1e-4)
    np.testing.assert_allclose(other.explained, covariance.explained, rtol=1e-3)
    assert np.abs((other.vectors * covariance.vectors).sum(1)).min() >= 1 - 1e-3
    assert np.abs(other.vectors @ other.vectors.T - np.eye(4)).max() <= 1e-5
    with pytest.raises(GanxError, match="ask for fewer"):
        principal_components(batches, 45)


def test_features_lead_back_to_z():
    """Components of a layer's features, regressed: moving along a direction moves its component."""
    gan = init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 6}, jax.random.key(0))
    found = ganspace(gan, jax.random.key(5), n=600, k=3)
    assert np.abs(np.linalg.norm(found.vectors, axis=1) - 1).max() <= 1e-6
    assert (np.diff(found.values) < 0).all()
    with pytest.raises(GanxError, match="no 20 independent directions; ask for 6"):
        ganspace(gan, jax.random.key(5), n=100, k=20)
    with pytest.raises(GanxError, match="ask for fewer or draw more"):
        ganspace(gan, jax.random.key(5), n=4, k=5)
