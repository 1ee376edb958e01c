"""Groupings matched on one half of the pairs and measured on the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ganx
from ganx.errors import GanxError
from ganx.igan.cut import choose_cut
from ganx.igan.files import Concepts
from ganx.igan.matched import WHOLE
from ganx.igan.trial import RANDOM, trials
from ganx.igan.truth import parts_of

KEY = jax.random.key(4)


@pytest.fixture(scope="module")
def tried():
    gan = ganx.load("faces32")
    cut = choose_cut(gan)
    labels = np.arange(gan.shapes[cut.stage][-1]) % 3
    return trials(gan, {"thirds": Concepts(cut, labels, 3)}, parts_of(gan), KEY, 8)


def test_groupings_meet_the_same_pairs_and_not_those_they_were_matched_on(tried):
    ours, random = tried["thirds"], tried[RANDOM]
    np.testing.assert_array_equal(ours.fresh.before, random.fresh.before)
    np.testing.assert_array_equal(ours.matching.pairs.before, random.matching.pairs.before)
    assert np.abs(np.asarray(ours.fresh.before) - np.asarray(ours.matching.pairs.before)).max(axis=(1, 2, 3)).min() > 0


def test_random_groups_have_the_sizes_of_the_first_grouping(tried):
    ours, random = (np.asarray(tried[name].matching.labels) for name in ("thirds", RANDOM))
    assert (ours != random).any()
    np.testing.assert_array_equal(np.bincount(ours), np.bincount(random))


def test_a_swap_brings_in_what_stands_for_the_part(tried):
    trial = tried["thirds"]
    chosen, after = trial.swap("hair", 0.99)
    assert chosen == trial.matching.standing_for("hair", 0.99)
    less = trial.swap("hair", 0.2)[1]
    moved = [float(jnp.abs(images - trial.fresh.before).mean()) for images in (after, less)]
    assert moved[0] > moved[1] > 0


def test_a_whole_is_where_any_of_its_parts_is(tried):
    trial = tried["thirds"]
    each = [trial.mask(part) for part in WHOLE["face"] if part in trial.matching.names]
    np.testing.assert_array_equal(trial.mask("face"), np.any(each, 0))
    outside = ~np.asarray(trial.mask("mouth"))
    change = np.abs(np.asarray(trial.collage("mouth") - trial.fresh.before)).max(-1)
    assert change[outside].mean() < change[~outside].mean() / 4
    with pytest.raises(GanxError, match="tail"):
        trial.mask("tail")
