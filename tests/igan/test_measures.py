"""Measures on hand-made arrays, and all of them on a generator whose filters own parts by construction."""

import jax
import jax.numpy as jnp
import numpy as np
import planted
import pytest

from ganx.igan import filters, monitors
from ganx.igan import locality as local
from ganx.igan import similarity as alike
from ganx.igan.controls import gan_partition, gan_stats, random_labels
from ganx.igan.cut import Cut
from ganx.igan.edits import collage, mask_at, select
from ganx.igan.effects import by_spill, effect_share, group_effects
from ganx.igan.matched import STEPS, Matching
from ganx.igan.pairs import Pairs, swapped
from ganx.igan.partition import fit_partition, relabel
from ganx.igan.swaps import swap_parts

# whole functions at once: far fewer programs to compile
change, locality, transfer, approach, choice = map(
    jax.jit, (local.change, local.locality, local.transfer, local.approach, local.choice)
)
filter_stats, own_parts = jax.jit(filters.filter_stats), jax.jit(alike.own_parts)
similarity = jax.jit(alike.similarity, static_argnames="count_dead")
exclusivity, centre_areas = (jax.jit(f, static_argnums=2) for f in (alike.exclusivity, alike.centre_areas))
purity, rand_index = (jax.jit(f, static_argnums=(2, 3)) for f in (alike.purity, alike.rand_index))
weight_monitors, feature_monitors, partition_monitors = map(
    jax.jit, (monitors.weight_monitors, monitors.feature_monitors, monitors.partition_monitors)
)

CUT, PARTS, PAIRS = Cut("filters"), planted.PARTS, 64
TRUTH = jnp.asarray(planted.parts())


def pictures(*values):
    """One 2 x 2 RGB picture for each row of four grey values."""
    return np.repeat(np.array(values, np.float32).reshape(-1, 2, 2, 1), 3, -1)


HALF = np.array([[[1.0, 1.0], [0.0, 0.0]]])


def test_locality_by_hand():
    before = pictures([0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0])
    after = pictures([2, 2, 1, 1], [1, 1, 0, 2], [0, 0, 1, 1])
    mask = HALF.repeat(3, 0)
    inside, outside = change(before, after, mask)
    np.testing.assert_allclose(inside, [4, 1, 0])
    np.testing.assert_allclose(outside, [1, 2, 1])
    found = locality(before, after, mask, usual=1.0)
    assert (float(found.mean), float(found.median)) == (1.125, 1.125)
    assert float(found.ratio) == pytest.approx(3 / 5)
    assert (float(found.pairs), float(found.dropped)) == (2, 1)


def test_empty_and_full_masks_give_nan_and_are_dropped():
    before, after = pictures([0, 0, 0, 0], [0, 0, 0, 0]), pictures([1, 1, 0, 0], [1, 1, 1, 1])
    masks = np.stack([np.zeros((2, 2)), np.ones((2, 2))])
    inside, outside = change(before, after, masks)
    np.testing.assert_array_equal(jnp.isnan(inside), [True, False])
    np.testing.assert_array_equal(jnp.isnan(outside), [False, True])
    found = locality(before, after, masks, usual=1.0)
    assert float(found.dropped) == 2
    assert all(np.isnan(float(x)) for x in (found.mean, found.median, found.ratio))


def test_transfer_approach_and_choice_by_hand():
    before, donor = pictures([0, 0, 0, 0]), pictures([1, 1, 0, 0])
    for after, moved, nearer in (
        ([0, 0, 9, 9], 0, 0),
        ([1, 1, 9, 9], 1, 1),
        ([0.5, 0.5, 0, 0], 0.25, 0.75),
        ([-1, -1, 0, 0], 1, -3),
    ):
        assert float(transfer(before, pictures(after), donor, HALF, 1.0)) == pytest.approx(moved)
        assert float(approach(before, pictures(after), donor, HALF, 1.0)) == pytest.approx(nearer)
    others = np.stack([pictures([0, 0, 5, 5]), pictures([2, 2, 5, 5]), pictures([1, 0, 5, 5])], 1)
    assert bool(choice(pictures([0.9, 0.9, 5, 5]), donor, others, HALF)[0])
    assert not bool(choice(pictures([0.4, 0.4, 0, 0]), donor, others, HALF)[0])
    same = donor[:, None].repeat(3, 1)
    assert not bool(choice(donor, donor, same, HALF)[0])  # a tie is no recognition


def test_labelling_scores_by_hand():
    a, b = jnp.array([0, 0, 0, 1, 1, 1]), jnp.array([2, 2, 2, 0, 0, 1])
    assert float(purity(a, b, 2, 3)) == pytest.approx(5 / 6)
    assert float(purity(a, b.at[0].set(-1), 2, 3)) == pytest.approx(4 / 5)
    together, rows, columns, pairs = 4, 6, 4, 15
    want = (together - rows * columns / pairs) / ((rows + columns) / 2 - rows * columns / pairs)
    assert float(rand_index(a, b, 2, 3)) == pytest.approx(want)
    assert float(rand_index(a, 1 - a, 2, 2)) == 1.0
    assert float(rand_index(a * 0, a * 0, 2, 2)) == 1.0


def test_similarity_exclusivity_and_area_by_hand():
    f = jnp.array([[[1.0, 2, 0, 0], [0, 0, 3, 0], [1, 0, 1, 0], [0, 0, 0, 0]]])  # [1, k=4, m=4], the last filter dead
    labels = jnp.array([0, 0, 1, 1])
    found = similarity(filter_stats(f), labels, count_dead=False)
    assert float(found.within) == pytest.approx(2**-0.5)
    assert float(found.between) == pytest.approx((2**-0.5 / 10**0.5 + 0) / 2)
    assert float(similarity(filter_stats(f), labels).within) == pytest.approx(2**-0.5 / 2)
    assert np.isnan(float(similarity(filter_stats(f), jnp.arange(4)).within))
    # centres: group 0 (1.5, 0, .5, 0), group 1 (0, 1.5, .5, 0); position 2 is a tie and goes to group 0
    assert float(exclusivity(f, labels, 2)) == pytest.approx((1 + 1 + 0.75) / 3)
    np.testing.assert_allclose(centre_areas(f, labels, 3), [0.25, 0.25, np.nan])


def test_effects_by_hand():
    energy = np.array([[8.0, 2, 0], [0, 0, 0], [1, 3, 0], [5, 0, 1]])
    assert effect_share(energy) == pytest.approx((8 + 3 + 5) / 20)
    assert by_spill(energy, [0]) == (3, 0, 2)  # shares of effect on region 0: .8, none, .25, .83
    assert by_spill(energy, [1, 2]) == (2, 0, 3)
    assert by_spill(np.array([[99.0, 1.0], [50.0, 50.0]]), [1]) == (1,)  # the other is too weak
    assert by_spill(0 * energy, [0]) == ()
    assert np.isnan(effect_share(0 * energy))


@pytest.fixture(scope="module")
def gan():
    return planted.painter()


@pytest.fixture(scope="module")
def partition(gan):
    """Groups by the mixture, named after the part they stand for."""
    found = gan_partition(gan, CUT, jax.random.key(0), PARTS, images=64, restarts=3)
    return relabel(found, jnp.zeros(PARTS, jnp.int32).at[found.labels[:PARTS]].set(jnp.arange(PARTS)))


@pytest.fixture(scope="module")
def pairs(gan):
    z = gan.latents(jax.random.key(1), 2 * PAIRS)
    return CUT.lower(gan, z[:PAIRS]), CUT.lower(gan, z[PAIRS:])


@jax.jit
def part_swap(gan, pairs, labels, part):
    """Locality, transfer, approach and four-way accuracy of swapping the group called `part`."""
    done = swap_parts(gan, CUT, *pairs, labels == part)
    mask = jnp.broadcast_to(jnp.asarray(planted.masks())[part], (PAIRS, planted.SIDE, planted.SIDE))
    others = jnp.stack([jnp.roll(done.b, shift, 0) for shift in (1, 2, 3)], 1)
    how = (done.a, done.a_with_b, done.b, mask)
    right = choice(done.a_with_b, done.b, others, mask).mean()
    return jnp.stack([locality(done.a, done.a_with_b, mask).ratio, transfer(*how), approach(*how), right])


def test_planted_parts_are_swapped_locally(gan, partition, pairs):
    assert float(rand_index(partition.labels, TRUTH, PARTS, PARTS)) == 1.0
    scores = np.array([part_swap(gan, pairs, partition.labels, part) for part in range(PARTS)])
    assert scores[:, 0].max() <= 0.01
    assert scores[:, 1].mean() >= 0.85
    assert scores[:, 2].mean() >= 0.8
    assert scores[:, 3].mean() >= 0.8


def test_filters_that_carry_two_parts_show(gan, pairs, partition):
    mixed = planted.painter(mixed=0.3)
    few, many = (
        gan_partition(each, CUT, jax.random.key(0), PARTS, images=64, restarts=3)
        for each in (planted.painter(mixed=0.1), mixed)
    )
    some, more = (float(rand_index(found.labels, TRUTH, PARTS, PARTS)) for found in (few, many))
    assert 0.5 < more < 0.75 < some < 0.95
    z = mixed.latents(jax.random.key(1), 2 * PAIRS)
    there = CUT.lower(mixed, z[:PAIRS]), CUT.lower(mixed, z[PAIRS:])
    dirty = np.mean([part_swap(mixed, there, TRUTH, part)[0] for part in range(PARTS)])
    clean = np.mean([part_swap(gan, pairs, TRUTH, part)[0] for part in range(PARTS)])
    assert dirty >= 5 * clean


def test_effects_name_the_parts_and_beat_random_groups(gan, partition, pairs):
    regions = np.broadcast_to(planted.regions(), (PAIRS, PARTS + 1, planted.SIDE, planted.SIDE))

    def effects(labels):
        return group_effects(gan, CUT, *pairs, regions, labels, PARTS, batch=32)

    found = effects(partition.labels)
    assert [by_spill(found.energy, [part])[0] for part in range(PARTS)] == list(range(PARTS))
    np.testing.assert_allclose(found.maps.sum(), found.energy.sum(), rtol=1e-4)
    mixed = random_labels(jax.random.key(2), partition.labels)
    np.testing.assert_array_equal(np.bincount(mixed), np.bincount(partition.labels))
    assert effect_share(effects(mixed).energy) < effect_share(found.energy) - 0.2


def test_groups_stand_for_a_part_once_they_carry_enough(gan, partition, pairs):
    regions = jnp.broadcast_to(planted.regions(), (PAIRS, PARTS + 1, planted.SIDE, planted.SIDE)) > 0
    names, images = tuple("abcdef."), [CUT.upper(gan, act) for act in pairs]
    both = Pairs(*pairs, *images, regions, regions)

    def matching(labels):
        energy = group_effects(gan, CUT, *pairs, regions, labels, PARTS, batch=32).energy
        return Matching(gan, CUT, labels, names, both, energy)

    own = matching(partition.labels)
    assert [own.standing_for(name, 0.5) for name in names[:PARTS]] == [{part: 1.0} for part in range(PARTS)]
    mixed = matching(random_labels(jax.random.key(2), partition.labels))
    order = by_spill(mixed.energy, [5])
    assert mixed.standing_for("f", 2.0) == dict.fromkeys(order, 1.0)  # never so much

    def carried(groups):
        after = swapped(gan, CUT, both, select(mixed.labels, groups))
        return float(transfer(both.before, after, both.donor, regions[:, 5]))

    one, two = carried(order[:1]), carried(order[:2])
    assert mixed.standing_for("f", one - 0.1) == {order[0]: 1.0}  # a part of one group takes all of it
    limit = (one + two) / 2
    chosen = mixed.standing_for("f", limit)
    assert set(chosen) == set(order[:2])
    assert chosen[order[0]] == 1.0
    assert 0 < chosen[order[1]] < 1
    assert carried(chosen) >= limit > carried({**chosen, order[1]: chosen[order[1]] - 1 / STEPS})


def test_similarity_exclusivity_and_purity_beat_random_groups(gan, partition, pairs):
    features = pairs[0].features
    mixed = random_labels(jax.random.key(2), partition.labels)
    stats = gan_stats(gan, CUT, jax.random.key(3), images=64)
    own, other = (similarity(stats, labels) for labels in (partition.labels, mixed))
    assert float(own.within) > 0.95
    assert float(own.between) < 0.2
    assert float(other.within) < 0.5
    masks = np.broadcast_to(planted.masks(), (PAIRS, PARTS, planted.SIDE, planted.SIDE))
    truth = own_parts(features, mask_at(masks, planted.SIDE))
    np.testing.assert_array_equal(truth, TRUTH)
    scores = [
        (float(purity(labels, truth, PARTS, PARTS)), float(exclusivity(features, labels, PARTS)))
        for labels in (partition.labels, mixed)
    ]
    assert scores[0][0] == 1.0
    assert scores[0][1] > 0.85
    assert scores[1][0] < 0.5
    assert scores[1][1] < 0.5
    areas = [jnp.nanmean(centre_areas(features, labels, PARTS)) for labels in (partition.labels, 0 * mixed)]
    assert float(areas[0]) < float(areas[1])


def test_collage_with_a_mask_is_a_strong_baseline(gan, pairs):
    a, b = pairs
    mask = np.broadcast_to(planted.masks()[2], (PAIRS, planted.SIDE, planted.SIDE))
    edited = CUT.upper(gan, a.with_features(collage(b.features, mask_at(mask, planted.SIDE))(a.features)))
    before, donor = CUT.upper(gan, a), CUT.upper(gan, b)
    assert float(locality(before, edited, mask).ratio) < 1e-6
    assert float(transfer(before, edited, donor, mask)) == pytest.approx(1.0, abs=1e-4)


def test_monitors_see_what_goes_wrong(gan, pairs, partition):
    f = pairs[0].features
    seen = feature_monitors(f, start_rms=2 * jnp.sqrt(jnp.square(f).mean()))
    assert float(seen["rms_ratio"]) == pytest.approx(0.5, rel=1e-4)
    assert float(seen["dead"]) == 0
    killed = feature_monitors(f.at[..., :7].set(0))
    assert float(killed["dead"]) == 7
    alone = feature_monitors(f.at[..., 1:].set(0))
    assert float(alone["top_share"]) == pytest.approx(1.0)
    stats = filter_stats(f)
    even = partition_monitors(partition, partition)
    assert float(even["entropy"]) == pytest.approx(1.0, abs=0.01)
    assert (float(even["smallest"]), float(even["largest"]), float(even["moved"])) == (16, 16, 0)
    split = fit_partition(stats, jax.random.key(4), PARTS, restarts=3)
    assert float(partition_monitors(split, partition)["moved"]) == float((split.labels != partition.labels).sum())
    turned = weight_monitors(-jax.nn.one_hot(TRUTH, PARTS)[None], TRUTH)
    assert (float(turned["w_own"]), float(turned["w_other"])) == (-1, 0)
    assert float(weight_monitors(jnp.ones((1, 4, 1)), jnp.zeros(4, jnp.int32))["w_other"]) == 0
