"""The mixture is the paper's, EM climbs, planted parts are found, and names of groups mean nothing."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import planted
import pytest

from ganx.igan import filters, mixture, similarity
from ganx.igan.filters import FilterStats, gather, merge, scaled
from ganx.igan.partition import (
    fit_partition,
    hold,
    match_labels,
    overlap,
    refit_partition,
    relabel,
)

TRUTH = jnp.asarray(planted.parts())
PARTS = planted.PARTS
OWN = np.eye(PARTS, dtype=np.float32)[planted.parts()]

# whole functions at once: far fewer programs to compile
filter_stats, log_joint, maximise = jax.jit(filters.filter_stats), jax.jit(mixture.log_joint), jax.jit(mixture.maximise)
fit = jax.jit(mixture.fit, static_argnums=2)
rand_index, purity = (jax.jit(f, static_argnums=(2, 3)) for f in (similarity.rand_index, similarity.purity))


def agreement(labels, groups=PARTS):
    return float(rand_index(labels, TRUTH, groups, PARTS))


@pytest.fixture(scope="module")
def stats():
    return planted.stats(gains=1.0, dead=8)


@pytest.fixture(scope="module")
def found(stats):
    return fit_partition(stats, jax.random.key(0), PARTS, restarts=3)


@functools.partial(jax.jit, static_argnums=1)
def data_of(stats: FilterStats, normalize="none"):
    return mixture.points(*scaled(stats, normalize), stats.alive, stats.images)


def test_statistics_say_what_all_images_say():
    """The log-likelihood from sums equals the product over images and positions."""
    f = planted.maps(images=8).astype(np.float64)
    share = OWN.astype(np.float64)
    data = data_of(filter_stats(jnp.asarray(f)))
    fitted = maximise(data, jnp.asarray(share), 1.0, 1e-3)
    got = log_joint(data, fitted)
    centres = share.T @ f.mean(0).T / share.sum(0)[:, None]
    square = np.stack([((f - mu[:, None]) ** 2).sum((0, 1)) for mu in centres], 1)
    variances = (share * square).sum(0) / (f.shape[0] * f.shape[1] * share.sum(0))
    np.testing.assert_allclose(fitted.variances, variances, rtol=1e-5)
    weights = (share.sum(0) + 1) / (len(share) + PARTS)
    count = f.shape[0] * f.shape[1]
    want = np.log(weights) - count / 2 * np.log(2 * np.pi * variances) - square / (2 * variances)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_sums_over_batches_are_sums_over_all():
    f = jnp.asarray(planted.maps(images=8))
    whole, batches = filter_stats(f), gather(lambda f: f, f.reshape(4, 2, *f.shape[1:]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), whole, batches)
    again = merge(filter_stats(f[:3]), filter_stats(f[3:]))
    np.testing.assert_allclose(again.scatter, whole.scatter, rtol=1e-4)
    np.testing.assert_allclose(whole.rms, np.sqrt(np.square(f).mean((0, 1))), rtol=1e-5)


@pytest.mark.parametrize("normalize", ["none", "rms"])
def test_em_never_falls(normalize):
    data = data_of(planted.stats(gains=0.5), normalize)
    share = jax.nn.softmax(jax.random.normal(jax.random.key(1), (planted.FILTERS, PARTS)))
    history = np.asarray(fit(data, share, 12, prior=0.0, floor=0.0)[1])
    assert history[-1] > history[0]
    assert (np.diff(history) >= -1e-5 * np.abs(history[:-1])).all()


def test_raw_maps_do_where_filters_are_equally_strong():
    part = fit_partition(planted.stats(), jax.random.key(2), PARTS, restarts=3, normalize="none")
    assert agreement(part.labels) >= 0.99


def test_gains_and_dead_filters_do_not_matter_when_normalised(stats, found):
    living = np.asarray(found.alive)
    assert living.sum() == planted.FILTERS - 8
    assert not living[-8:].any()
    assert float(rand_index(found.labels[:-8], TRUTH[:-8], PARTS, PARTS)) >= 0.99
    assert float(found.sizes.sum()) == planted.FILTERS - 8
    nearest = jnp.square(scaled(stats, "rms")[0][-8:, None] - found.centres).sum(-1).argmin(1)
    np.testing.assert_array_equal(found.labels[-8:], nearest)


def test_parts_that_wander_are_found():
    part = fit_partition(planted.stats(jitter=4.0), jax.random.key(3), PARTS, restarts=3)
    assert agreement(part.labels) >= 0.95


@pytest.mark.parametrize(
    ("groups", "low", "high"), [(3, 0.45, 0.55), (PARTS, 0.99, 1.0), (12, 0.99, 1.0), (24, 0.99, 1.0)]
)
def test_too_few_and_too_many_groups(groups, low, high):
    part = fit_partition(planted.stats(), jax.random.key(4), groups, restarts=3)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(part))
    assert low <= float(purity(part.labels, TRUTH, groups, PARTS)) <= high


def test_single_starts_nearly_always_succeed():
    stats = planted.stats()
    data = data_of(stats, "rms")

    def once(key):
        fitted, _ = fit(data, mixture.seed(data, key, PARTS), 30)
        return rand_index(log_joint(data, fitted).argmax(1), TRUTH, PARTS, PARTS)

    scores = jax.jit(jax.vmap(once))(jax.random.split(jax.random.key(5), 30))
    assert (np.asarray(scores) >= 0.99).mean() >= 0.95


def test_fewer_different_filters_than_groups():
    """Twins: nothing to divide by, no NaN, and twins stay together."""
    f = jnp.asarray(planted.maps(jitter=0.0))[:, :, :3]
    part = fit_partition(filter_stats(jnp.tile(f, (1, 1, 32))), jax.random.key(6), PARTS, restarts=3)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(part))
    np.testing.assert_array_equal(part.labels[:3], part.labels[3:6])
    assert len(set(np.asarray(part.labels[:3]).tolist())) == 3


def test_an_empty_group_starts_again_at_the_farthest_filter():
    data = data_of(planted.stats(), "rms")
    share = np.eye(PARTS, dtype=np.float32)[np.where(planted.parts() == 5, 4, planted.parts())]  # nobody in group 5
    fitted = maximise(data, share, 1.0, 1e-3)
    chosen = int(fitted.mixing[:, 5].argmax())
    assert float(fitted.mixing[chosen, 5]) == 1.0
    assert int(TRUTH[chosen]) in (4, 5)
    again, _ = fit(data, share, 10)
    assert agreement(log_joint(data, again).argmax(1)) >= 0.99


def test_variance_floor_holds():
    still = filter_stats(jnp.asarray(planted.maps(images=1, jitter=0.0)) * (planted.parts() < 5))
    data = data_of(still)
    fitted = maximise(data, OWN, 1.0, 1e-2)
    assert float(fitted.variances.min()) >= 0.99e-2 * float(data.pooled)


def test_deterministic_given_a_key(stats, found):
    again = fit_partition(stats, jax.random.key(0), PARTS, restarts=3)
    jax.tree.map(np.testing.assert_array_equal, again, found)


def test_warm_refit_keeps_names_and_cold_refit_gets_them_back(stats, found):
    other = planted.stats(seed=7, gains=1.0, dead=8)
    warm = refit_partition(other, found)
    np.testing.assert_array_equal(warm.labels[:-8], found.labels[:-8])
    cold = fit_partition(other, jax.random.key(8), PARTS, restarts=3)
    matched = match_labels(cold, found)
    np.testing.assert_array_equal(matched.labels[:-8], found.labels[:-8])
    np.testing.assert_allclose(matched.centres, warm.centres, atol=0.02)


def test_relabelled_partition_is_the_same_partition(found):
    names = jnp.array([3, 0, 5, 1, 4, 2])
    named = relabel(found, names)
    for group in range(PARTS):
        np.testing.assert_array_equal(named.labels == names[group], found.labels == group)
        np.testing.assert_array_equal(named.centres[names[group]], found.centres[group])
    assert np.asarray(overlap(found.labels, named.labels, PARTS) > 0).sum() == PARTS
    back = match_labels(named, found)
    np.testing.assert_array_equal(back.labels, found.labels)
    np.testing.assert_array_equal(back.variances, found.variances)


def test_order_of_filters_does_not_matter(stats, found):
    order = np.random.default_rng(9).permutation(planted.FILTERS)
    shuffled = dataclasses.replace(stats, total=stats.total[order], square=stats.square[order], peak=stats.peak[order])
    labels = refit_partition(shuffled, dataclasses.replace(found, labels=found.labels[order])).labels
    np.testing.assert_array_equal(labels, refit_partition(stats, found).labels[order])


def test_frozen_partition_does_not_move(found):
    named = relabel(found, jnp.roll(jnp.arange(PARTS), 1))
    for frozen, want in ((True, found), (False, named)):
        jax.tree.map(np.testing.assert_array_equal, jax.jit(hold)(frozen, found, named), want)
