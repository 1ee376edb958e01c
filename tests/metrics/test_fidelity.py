"""Numbers that torch-fidelity 0.4.0 gives for features and logits out of NumPy's generator.

On tensors: `kid_features_to_metric(real, fake, kid_subsets=5, kid_subset_size=100)`, `isc_features_to_metric(logits,
splits=10, shuffle=...)`, `prc_features_to_metric(fake, real, prc_neighborhood=3, prc_batch_size=100)`, and
`fid_statistics_to_metric` of `fid_features_to_statistics` of both sides.
"""

import numpy as np
import pytest

from ganx.metrics import frechet, inception_score, kid, manifold, moments


@pytest.fixture(scope="module")
def drawn():
    """300 and 260 features of width 24, and 203 rows of 9 logits, float32."""
    random = np.random.RandomState(7)
    real = random.standard_normal((300, 24)).astype(np.float32)
    fake = (random.standard_normal((260, 24)) * 1.1 + 0.2).astype(np.float32)
    return real, fake, (random.standard_normal((203, 9)) * 3).astype(np.float32)


def test_kid_of_its_subsets(drawn):
    real, fake, _ = drawn
    random = np.random.RandomState(2020)  # its default seed, from which it draws both sides in turn
    subsets = [[random.choice(n, 100, replace=False) for n in (300, 260)] for _ in range(5)]
    indices = tuple(np.asarray(side) for side in zip(*subsets, strict=True))
    found = kid(real, fake, indices=indices)
    np.testing.assert_allclose(found, (0.1665109157562256, 0.011669462804798789), atol=1e-6)


def test_inception_score_in_order_and_shuffled(drawn):
    logits = drawn[2]
    shuffled = np.random.RandomState(2020).permutation(len(logits))
    np.testing.assert_allclose(inception_score(logits, 10), (3.3982458277526453, 0.3048151733442848), atol=1e-6)
    found = inception_score(logits, 10, shuffled)
    np.testing.assert_allclose(found, (3.407762059162877, 0.27052149136193776), atol=1e-6)


def test_precision_recall_and_frechet_distance(drawn):
    real, fake, _ = drawn
    found = manifold(real, fake, k=3)  # its first input is what was generated
    assert (found.precision, found.recall) == pytest.approx((0.4923076927661896, 0.8666666746139526), abs=1e-7)
    assert frechet(moments(real), moments(fake)).value == pytest.approx(2.616929412963522, rel=1e-6)
