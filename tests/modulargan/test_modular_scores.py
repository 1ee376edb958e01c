"""Figures on translators whose quality is known: the truth itself, and one that does nothing."""

import jax.numpy as jnp
import numpy as np
import pytest

from ganx.data.feed import to_float
from ganx.data.worlds import world
from ganx.modulargan import scores

NAMES = {"colour": ("red", "blue", "green", "purple", "brown"), "style": ("flat", "stroke"),
         "background": ("cyan", "yellow", "white", "silver", "salmon")}  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    known = world("digits", size=32, split="test")
    params = known.params(np.arange(16))
    images = to_float(known.draw(params).image)
    return known, params, images, {k: np.asarray(v) for k, v in params.attrs.items()}


def perfect(known, params):
    """The counterfactual itself."""

    def translate(images, programs):
        changed = params
        for name in NAMES:
            where = list(NAMES).index(name)
            value = [dict(p).get(where, int(params.attrs[name][i])) for i, p in enumerate(programs)]
            changed = known.counterfactual(changed, name, jnp.asarray(value))
        return to_float(known.draw(changed).image)

    return translate


def test_the_truth_has_no_error_and_doing_nothing_has_all(digits):
    known, params, images, values = digits
    rng = np.random.default_rng(0)
    for chosen in (("colour",), ("colour", "style", "background")):
        programs = scores.ask(values, NAMES, chosen, rng)
        good = scores.errors(perfect(known, params), known.read, images, values, NAMES, programs)
        lazy = scores.errors(lambda x, p: x, known.read, images, values, NAMES, programs)
        assert (good.any, good.mean, good.others) == (0.0, 0.0, 0.0)
        assert (lazy.any, lazy.mean, lazy.others) == (1.0, 1.0, 0.0)


def test_requests_always_ask_for_a_change(digits):
    *_, values = digits
    programs = scores.ask(values, NAMES, ("background", "style"), np.random.default_rng(0))
    for i, ((first, a), (second, b)) in enumerate(programs):
        assert (first, second) == (2, 1)
        assert a != values["background"][i]
        assert b != values["style"][i]
    orders = {tuple(a for a, _ in p) for p in scores.ask(values, NAMES, list(NAMES), np.random.default_rng(0), True)}
    assert len(orders) > 2


def test_all_sets_of_attributes_are_the_papers_columns():
    assert ["".join(s) for s in scores.subsets("HSG")] == ["H", "S", "G", "HS", "HG", "SG", "HSG"]


def test_order_spread_sees_an_order_that_matters(digits):
    known, params, images, values = digits
    chosen = ("colour", "background")
    spread, apart = scores.order_spread(perfect(known, params), known.read, images, values, NAMES, chosen)
    assert (spread, apart) == (0.0, 0.0)

    def first_only(x, programs):
        return perfect(known, params)(x, [p[:1] for p in programs])

    _, apart = scores.order_spread(first_only, known.read, images, values, NAMES, chosen)
    assert apart > 0.05


def test_average_precision_by_hand():
    where = np.array([1, 0, 1, 0], bool)
    assert scores.average_precision(np.array([4.0, 3.0, 2.0, 1.0]), where) == pytest.approx((1 + 2 / 3) / 2)
    assert scores.average_precision(np.array([1.0, 1.0, 1.0, 1.0]), where) == pytest.approx(0.5)  # guessing: the share
    assert scores.average_precision(np.array([1.0, 2.0]), np.array([False, False])) == 0.0


def test_localisation_reduces_the_truth_by_area(digits):
    known, *_ = digits
    case = scores.truth(known, "background", np.arange(4))
    cells = np.asarray(case.changed).reshape(4, 8, 4, 8, 4).mean((2, 4))
    precision, iou, chance = scores.localisation((cells > 0.5).astype(float), np.asarray(case.changed))
    assert (precision, iou) == (1.0, 1.0)
    assert 0.3 < chance < 1.0
    worst, *_ = scores.localisation(1.0 - cells, np.asarray(case.changed))
    assert worst < chance
    assert not (case.target == case.values["background"]).any()


def test_errors_inside_and_outside_of_the_change(digits):
    known, *_ = digits
    case = scores.truth(known, "colour", np.arange(4))
    assert scores.region_error(case.after, case) == (0.0, 0.0)
    inside, outside = scores.region_error(case.before, case)
    assert inside > 0.1
    assert outside == 0.0
