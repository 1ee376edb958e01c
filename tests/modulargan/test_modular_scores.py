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


def test_what_the_judge_cannot_read_counts_nothing(digits):
    known, params, images, values = digits
    programs = scores.ask(values, NAMES, ("colour", "style"), np.random.default_rng(0))
    blind = lambda x: {"style": known.read(x)["style"]}  # noqa: E731
    lazy = scores.errors(lambda x, p: x, blind, images, values, NAMES, programs)
    assert (lazy.any, lazy.mean, lazy.others) == (1.0, 1.0, 0.0)
    good = scores.errors(perfect(known, params), blind, images, values, NAMES, programs)
    assert (good.any, good.mean, good.others) == (0.0, 0.0, 0.0)


def test_unasked_changes_are_seen(digits):
    """A translator that paints every background white, whatever it is asked for."""
    known, params, images, values = digits
    programs = scores.ask(values, NAMES, ("style",), np.random.default_rng(0))
    white = lambda x, programs: perfect(known, params)(x, [(*p, (2, 2)) for p in programs])  # noqa: E731
    found = scores.errors(white, known.read, images, values, NAMES, programs)
    assert found.any == 0.0
    assert found.others == pytest.approx((values["background"] != 2).mean() / 2)  # colour stays, background does not


def test_a_held_out_combination_is_asked_of_images_that_differ_in_all_of_it():
    values = {"colour": np.array([0, 1, 2, 1]), "style": np.array([0, 0, 1, 0]), "number": np.array([3, 3, 3, 4])}
    rows, program = scores.unseen(values, NAMES, {"colour": 0, "style": 1, "number": 3})
    assert rows.tolist() == [1]  # the first has the colour, the third the style, the fourth another number
    assert program == ((0, 0), (1, 1))


def test_asking_for_what_is_there_changes_nothing(digits):
    known, params, images, values = digits
    assert scores.no_change(perfect(known, params), images, values, list(NAMES)) == 0.0
    darker = lambda x, programs: x - 0.25 * jnp.asarray([bool(p) for p in programs])[:, None, None, None]  # noqa: E731
    assert scores.no_change(darker, images, values, list(NAMES)) == pytest.approx(0.25, rel=1e-5)


def test_requests_always_ask_for_a_change(digits):
    *_, values = digits
    programs = scores.ask(values, NAMES, ("background", "style"), np.random.default_rng(0))
    for i, ((first, a), (second, b)) in enumerate(programs):
        assert (first, second) == (2, 1)
        assert a != values["background"][i]
        assert b != values["style"][i]


def test_all_sets_of_attributes_are_the_papers_columns():
    assert ["".join(s) for s in scores.subsets("HSG")] == ["H", "S", "G", "HS", "HG", "SG", "HSG"]


def test_orders_that_matter_are_seen(digits):
    known, params, images, values = digits
    told = (known.read, images, values, NAMES, ("colour", "background"))
    assert scores.orders(perfect(known, params), *told) == scores.Orders(0.0, 0.0, 0.0)
    first_only = lambda x, programs: perfect(known, params)(x, [p[:1] for p in programs])  # noqa: E731
    found = scores.orders(first_only, *told)
    assert (found.mean, found.spread) == (1.0, 0.0)  # one of two is always missing
    assert found.apart > 0.05

    def colour_first(x, programs):
        """Nothing happens after the background has changed."""
        return perfect(known, params)(x, [p if p[0][0] == 0 else p[:1] for p in programs])

    found = scores.orders(colour_first, *told)
    assert (found.mean, found.spread) == (0.5, 1.0)


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


def test_small_changes_are_placed_by_pixel(digits):
    """An outline hardly fills half of any cell of 4 x 4, so cells say nothing of it, and pixels do."""
    known, *_ = digits
    changed = np.asarray(scores.truth(known, "style", np.arange(4)).changed)
    shares = changed.reshape(4, 8, 4, 8, 4).mean((2, 4))
    assert scores.localisation(shares, changed)[2] < 0.01
    best, chance = scores.pixel_localisation(shares, changed)
    assert chance == changed.mean() > 0.05
    assert best > 2 * chance
    assert scores.pixel_localisation(np.ones((4, 8, 8)), changed) == (pytest.approx(chance), chance)
    assert scores.pixel_localisation(1 - shares, changed)[0] < chance


def test_errors_inside_and_outside_of_the_change(digits):
    known, *_ = digits
    case = scores.truth(known, "colour", np.arange(4))
    assert scores.region_error(case.after, case) == (0.0, 0.0)
    inside, outside = scores.region_error(case.before, case)
    assert inside > 0.1
    assert outside == 0.0
