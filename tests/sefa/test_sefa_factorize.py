"""The closed form has the properties of its problem: max |Av|² over orthonormal v."""

import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.sefa.factorize import factorize_rows

M, D = 96, 24


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """A decaying spectrum, and some rows of zeros."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(M, D)) @ np.diag(np.arange(1, D + 1) ** -0.5) @ _orthogonal(rng)
    rows[::16] = 0
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def found(rows):
    return factorize_rows(rows)


def _orthogonal(rng: np.random.Generator, d: int = D) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs((a * b).sum(1))


def test_orthonormal_sorted_and_signed(found):
    values, vectors = found
    assert vectors.dtype == values.dtype == np.float32
    assert np.abs(vectors @ vectors.T - np.eye(D)).max() <= 5e-6
    assert (np.diff(values) <= 0).all()
    largest = vectors[np.arange(D), np.abs(vectors).argmax(1)]
    assert (largest > 0).all()


def test_eigenvectors_of_the_gram_matrix(rows, found):
    values, vectors = found
    unit = _unit_rows(rows.astype(np.float64))
    residual = np.linalg.norm(vectors @ (unit.T @ unit) - values[:, None] * vectors, axis=1)
    assert residual.max() <= 1e-5 * values[0]


def test_eigenvalues_sum_to_the_rows_that_are_not_zero(rows, found):
    assert abs(found[0].sum() - np.any(rows, 1).sum()) <= 1e-5 * M


def test_no_other_direction_moves_the_output_more(rows, found):
    values, vectors = found
    unit = _unit_rows(rows.astype(np.float64))
    u = np.random.default_rng(1).normal(size=(1000, D))
    u[:500] = vectors[0] + 1e-3 * u[:500]  # hardly turned away from the best one
    for i, slack in ((0, 1e-6), (3, 1e-5)):
        u -= u @ vectors[:i].T @ vectors[:i]
        reaction = np.square(unit @ (u / np.linalg.norm(u, axis=1, keepdims=True)).T).sum(0)
        assert reaction.max() <= values[i] * (1 + slack)


def test_order_sign_and_length_of_rows_do_not_matter(rows, found):
    rng = np.random.default_rng(2)
    scale = rng.uniform(0.1, 10, (M, 1)) * rng.choice([-1, 1], (M, 1))
    values, vectors = factorize_rows((rows * scale)[rng.permutation(M)].astype(np.float32))
    np.testing.assert_allclose(values, found[0], rtol=1e-5, atol=1e-4)
    assert (1 - _cosines(vectors[:8], found[1][:8])).max() <= 1e-5


def test_a_turned_latent_turns_the_directions(rows, found):
    turn = _orthogonal(np.random.default_rng(3)).astype(np.float32)
    values, vectors = factorize_rows(rows @ turn)
    np.testing.assert_allclose(values, found[0], rtol=1e-4, atol=1e-4)
    assert (1 - _cosines(vectors[:8], (found[1] @ turn)[:8])).max() <= 1e-5


def test_the_papers_formula_without_row_norms(rows):
    values, vectors = factorize_rows(rows, row_normalize=False)
    singular = np.linalg.svd(rows.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(values, singular[1] ** 2, rtol=1e-4)
    assert (1 - _cosines(vectors[:8], singular[2][:8])).max() <= 1e-5


def test_the_published_width_is_as_exact_as_float32_allows():
    """Acceptance checks 1, 2, 3 and 5 at 512 dimensions, against float64."""
    rng = np.random.default_rng(6)
    rows = (rng.normal(size=(1024, 512)) * np.arange(1, 513) ** -0.5 @ _orthogonal(rng, 512)).astype(np.float32)
    values, vectors = factorize_rows(rows)
    unit = _unit_rows(rows.astype(np.float64))
    gram = unit.T @ unit
    exact, columns = (x[..., ::-1] for x in np.linalg.eigh(gram))
    assert np.abs(vectors @ vectors.T - np.eye(512)).max() <= 5e-6
    assert np.linalg.norm(vectors @ gram - values[:, None] * vectors, axis=1).max() <= 1e-5 * values[0]
    assert abs(values.sum(dtype=np.float64) - 1024) <= 1e-5 * 1024
    np.testing.assert_allclose(values, exact, rtol=0, atol=1e-6 * exact[0])
    assert (1 - _cosines(vectors[:10].astype(np.float64), columns.T[:10])).max() <= 2e-6


def test_directions_stop_at_the_rank(rows):
    rng = np.random.default_rng(4)
    low = (rng.normal(size=(M, 3)) @ rng.normal(size=(3, D))).astype(np.float32)
    assert len(factorize_rows(low)[0]) == 3
    assert factorize_rows(rows, k=5)[1].shape == (5, D)
    assert factorize_rows(low, k=5)[1].shape == (3, D)


def test_one_row_and_one_column():
    values, vectors = factorize_rows(np.array([[3.0, -4.0]], np.float32))
    np.testing.assert_allclose(values, [1.0], rtol=1e-6)
    np.testing.assert_allclose(vectors, [[-0.6, 0.8]], atol=1e-6)
    np.testing.assert_allclose(factorize_rows(np.full((4, 1), -2.0, np.float32))[0], [4.0])


@pytest.mark.parametrize(("fill", "message"), [(np.nan, "NaN or Inf"), (np.inf, "NaN or Inf"), (0.0, "all zero")])
def test_unusable_weights_are_refused(fill, message):
    with pytest.raises(GanxError, match=message):
        factorize_rows(jnp.full((M, D), fill))


@pytest.mark.parametrize("mixing", ["dense", "one factor a row"])
def test_known_factors_are_found(mixing):
    """Acceptance check: 8 orthonormal factors behind 1024 outputs of a 64-dimensional latent, and little noise."""
    rng = np.random.default_rng(5)
    factors = _orthogonal(rng, 64)[:8]
    noise = rng.normal(size=(1024, 64)) * 0.05 / 8
    if mixing == "dense":
        rows = rng.normal(size=(1024, 8)) * 4 * 2 ** (-np.arange(8) / 2) @ factors + noise
        cosine, span = 0.985, 0.999
    else:
        counts = [300, 220, 160, 120, 90, 60, 44, 30]
        rows = np.repeat(factors, counts, axis=0) * rng.choice([-1, 1], (1024, 1)) + noise
        cosine, span = 0.99, 0.995
    found = factorize_rows(rows.astype(np.float32), k=8)[1]
    assert _cosines(found, factors).min() >= cosine
    assert np.linalg.svd(found @ factors.T, compute_uv=False).min() >= span
