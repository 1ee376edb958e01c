"""Units are matched with what they go along with; sets of units with what they cause (§14 A, E, F, G)."""

import base64
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from planted_units import CLASSES, DRIVE, INERT, NOISE, layout, planted

from ganx.dissection import (
    Dissection,
    Edit,
    Samples,
    Stroke,
    ablate,
    ablation_curve,
    class_constant,
    compare,
    context_effects,
    dissect,
    edit,
    effects,
    find_pairs,
    optimize_ace,
    paint,
    single_units,
)
from ganx.dissection.ace import objective
from ganx.dissection.interventions import pool
from ganx.dissection.paint import region, strokes_from_json
from ganx.dissection.pairs import find_present
from ganx.dissection.samples import Known
from ganx.errors import GanxError
from ganx.segmenters import HostSegmenter, Joined


def test_the_oracle_knows_the_layout(samples):
    z, _ = samples.latents(np.arange(64))
    truth = np.asarray(layout(z)).repeat(8, 1).repeat(8, 2)
    labels = np.concatenate([batch.labels for batch in samples])[:, 0]
    for name in ("tree", "door"):
        want, got = truth[..., CLASSES.index(name)], labels == 1 + CLASSES.index(name)
        assert (want & got).sum() / (want | got).sum() > 0.99


def test_units_get_the_labels_that_were_planted_and_noise_gets_none(found):
    names = found.label_names()
    for label in ("tree", "door"):
        assert {names[u] for u in DRIVE[label] + INERT[label]} == {label}
    chance = found.counts.chance()[:, NOISE]
    assert (found.iou[:, NOISE] < np.maximum(0.05, 1.25 * chance)).all()
    assert not found.interpretable()[NOISE].any()
    assert found.interpretable()[DRIVE["tree"]].all()


def test_thresholds_by_quality_find_the_planted_units_too(oracle, found):
    gan = planted(side=32)
    for compat in (None, "gandissect"):
        d = dissect(gan, "cells", oracle, 64, "iqr", key=jax.random.key(0), compat=compat)
        names = d.label_names()
        for label in ("tree", "door"):
            assert {names[u] for u in DRIVE[label]} == {label}
        assert d.best(d.iou)[DRIVE["tree"]].min() > found.best(found.iou)[DRIVE["tree"]].min()
    assert (d.thresholds == d.thresholds[0]).all()


def test_pixels_moved_to_another_image_score_no_better_than_noise(found):
    limit, p = found.significance()
    tree = found.label("tree")
    assert limit[tree] < found.iou[tree, DRIVE["tree"]].min()
    assert p[tree, DRIVE["tree"]].max() <= 1 / 12
    assert p[tree, NOISE].min() > 0.04


def test_integers_do_not_depend_on_devices_or_batches(gan, oracle, found):
    assert len(jax.devices()) == 8
    for batch, devices in ((16, jax.devices()), (24, None)):
        other = dissect(gan, "cells", oracle, 64, 0.05, key=jax.random.key(0), topk=5, batch=batch, devices=devices)
        np.testing.assert_array_equal(other.counts.intersection, found.counts.intersection)
        np.testing.assert_array_equal(other.counts.unit_area, found.counts.unit_area)
        np.testing.assert_array_equal(other.top_index, found.top_index)


def test_top_images_are_those_of_the_largest_maxima(samples, found):
    peaks = np.concatenate([np.asarray(batch.features).max((1, 2)) for batch in samples])
    np.testing.assert_array_equal(found.top_index[3], np.argsort(-peaks[:, 3], kind="stable")[:5])


@pytest.mark.parametrize("label", ["tree", "door"])
def test_the_search_tells_causes_from_what_only_goes_along(oracle, found, label):
    gan = planted(inert=1.5, side=16)  # so strong that no ranking by overlap can put them last
    pools = [Samples(gan, "cells", oracle, jax.random.key(seed), 128) for seed in (10, 11)]
    settings = {"key": jax.random.key(1), "pairs": 30, "steps": 120, "rate": 0.03}
    ace = optimize_ace(*pools, label, found.iou[found.label(label)], **settings)
    assert set(ace.top(len(DRIVE[label])).tolist()) == set(DRIVE[label])
    assert ace.alpha[DRIVE[label]].min() >= 0.5
    assert ace.alpha[INERT[label]].max() <= 0.02
    assert ace.alpha.min() >= 0
    assert ace.alpha.max() <= 1
    assert ace.losses[-10:].mean() < ace.losses[:10].mean()
    again = lambda: optimize_ace(  # noqa: E731
        *pools, label, found.iou[found.label(label)], key=jax.random.key(1), pairs=30, steps=3
    )
    once, twice = again(), again()
    np.testing.assert_array_equal(once.alpha, twice.alpha)


def test_the_search_that_ablates_everywhere_finds_causes_and_spares_the_rest(oracle, found):
    gan, label = planted(inert=1.5, side=16), "tree"
    pool, number = Samples(gan, "cells", oracle, jax.random.key(10), 96), found.label(label)
    settings = {"pairs": 20, "steps": 60, "rate": 0.05, "readout": "everywhere", "spare": 1.0}
    ace = optimize_ace(pool, pool, label, found.iou[number], key=jax.random.key(1), **settings)
    assert set(ace.top(4).tolist()) == set(DRIVE[label])
    assert ace.alpha[INERT[label]].max() <= 0.02
    pairs = find_present(pool, label, 6)
    driven = jnp.zeros(24).at[jnp.array(DRIVE[label])].set(1.0)
    both = driven.at[jnp.array(DRIVE["building"])].set(1.0)
    value = lambda alpha, spare: float(  # noqa: E731
        objective(alpha, gan, "cells", oracle, number, pairs, 0.0, "everywhere", None, spare)
    )
    assert value(jnp.zeros(24), 1.0) == 0
    assert value(driven, 0.0) < -0.8
    assert value(both, 1.0) - value(both, 0.0) > 5 * (value(driven, 1.0) - value(driven, 0.0))


def test_ablating_causes_removes_all_and_ablating_the_inert_nothing(samples, found):
    for label in ("tree", "door"):
        alphas = np.zeros((2, 24), np.float32)
        alphas[0, DRIVE[label]] = 1
        alphas[1, INERT[label]] = 1
        effect = effects(samples, alphas)
        np.testing.assert_array_equal(effect.removed(found.label(label)), [1, 0])
        np.testing.assert_array_equal(effect.damage(found.label(label)), [0, 0])


def test_damage_is_a_share_of_pixels_however_many_labels_each_has(gan, oracle):
    both = Joined((oracle, oracle))
    alphas = np.zeros((1, 24), np.float32)
    alphas[0, [*DRIVE["building"], DRIVE["door"][0]]] = 1
    one, two = (effects(Samples(gan, "cells", s, jax.random.key(0), 8), alphas) for s in (oracle, both))
    for label in range(1, 5):
        assert one.damage(label) == two.damage(label) == two.damage(label + 4)
        assert one.removed(label) == two.removed(label + 4)
    assert one.damage(3) > 0.1


def test_curves_start_at_nothing_and_single_units_fall_short_of_the_set(samples, found):
    tree = found.label("tree")
    curve = ablation_curve(samples, DRIVE["tree"] + NOISE[:1], (0, 2, 4, 5)).removed(tree)
    assert curve[0] == 0
    np.testing.assert_array_equal(curve[2:], 1)
    assert (np.diff(curve) >= 0).all()
    assert single_units(samples).removed(tree)[INERT["tree"]].max() == 0


def test_a_door_appears_on_buildings_and_nowhere_else(samples):
    found = context_effects(samples, "door", DRIVE["door"], 1.0, least=20)
    gain = dict(zip(found.names, found.mean, strict=True))
    assert gain["building"] == 64
    assert gain["sky"] < 5
    assert gain["tree"] < 1
    assert gain["door"] == 0
    with pytest.raises(GanxError, match="no context"):
        context_effects(samples, "door", DRIVE["door"], 1.0, least=10**6)


def test_edits_are_exact_at_their_ends(gan, samples):
    z, _ = samples.latents(np.arange(4))
    other, _ = samples.latents(np.arange(4, 8))
    image, target = gan(z), gan.until("cells", other).features
    with_edit = lambda e: gan(z, edits={"cells": e})  # noqa: E731
    np.testing.assert_array_equal(with_edit(Edit(jnp.zeros(24), jnp.ones(24))), image)
    np.testing.assert_array_equal(with_edit(Edit(jnp.ones(24), target)), gan(other))
    r = gan.until("cells", z).features
    once = edit(gan, "cells", [3, 4])
    np.testing.assert_array_equal(once(once(r)), once(r))
    np.testing.assert_array_equal(edit(gan, "cells", [3, 4], strength=1.0)(r), once(r))
    mask = np.zeros((64, 64))
    mask[:8, :8] = 1
    placed = edit(gan, "cells", [3], 5.0, mask)(r)
    assert (placed[:, 0, 0, 3] == 5).all()
    np.testing.assert_array_equal(placed.at[:, 0, 0, 3].set(r[:, 0, 0, 3]), r)
    with pytest.raises(GanxError, match="units 0 to 23"):
        ablate(gan, "cells", z, [24])


def test_edits_compose_in_order():
    r = jax.random.normal(jax.random.key(0), (2, 3, 3, 4))
    first = Edit(jnp.array([0.5, 0, 1, 0.2]), jnp.array([1.0, 2, 3, 4]))
    second = Edit(jnp.array([0.5, 0.3, 0.4, 0]), jnp.array([-1.0, 0, 1, 2]))
    np.testing.assert_allclose(first.then(second)(r), second(first(r)), atol=1e-6)


def test_masks_are_pooled_adaptively():
    mask = np.zeros((5, 5))
    mask[2, 2] = 1
    np.testing.assert_array_equal(pool(mask, (3, 3)), [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(pool(mask, (3, 3), "mean")[1, 1], 1 / 9, rtol=1e-6)


def test_the_searchs_gradient_is_right_and_the_released_readout_differs(oracle):
    gan = planted(side=16)
    pools = [Samples(gan, "cells", oracle, jax.random.key(seed), 96) for seed in (10, 11)]
    pairs = find_pairs(*pools, "door", 6, jax.random.key(2))
    alpha = jnp.full(24, 0.4)
    f = jax.jit(lambda a: objective(a, gan, "cells", oracle, 4, pairs, 0.005))
    step = 1e-2 * jax.random.normal(jax.random.key(3), (24,))
    slope = (f(alpha + step) - f(alpha - step)) / 2
    np.testing.assert_allclose(jax.grad(f)(alpha) @ step, slope, rtol=0.05)
    assert float(objective(alpha, gan, "cells", oracle, 4, pairs, 0.005, compat="gandissect")) != float(f(alpha))
    on = class_constant(pools[0], "door")
    assert on[DRIVE["door"]].min() > 0.8
    assert np.abs(on[NOISE]).max() < 0.1


def test_a_dissection_is_saved_ranked_and_compared(found, tmp_path):
    found.with_ranking("tree-ace", np.arange(24)).save(tmp_path)
    again = Dissection.load(tmp_path, "cells")
    np.testing.assert_array_equal(again.iou, found.iou)
    assert again.rank("tree", "ace")[0] == 23
    assert set(found.rank("tree")[:6].tolist()) == set(DRIVE["tree"] + INERT["tree"])
    table = compare({"a": found, "b": again})
    assert table.by_label["tree"].tolist() == [6, 6]
    assert table.interpretable[0] == found.interpretable().sum()
    with pytest.raises(GanxError, match="no ranking"):
        found.rank("tree", "ace")
    with pytest.raises(GanxError, match="no dissection"):
        Dissection.load(tmp_path, "nothing")


def test_painting_draws_a_door_and_removes_a_tree(gan, oracle, samples, found):
    z, _ = samples.latents(np.arange(8))
    everywhere = np.ones((8, 8))
    units = tuple(DRIVE["tree"])
    stroke = Stroke("cells", units, np.zeros(24, np.float32), everywhere)
    assert not (np.asarray(oracle(paint(gan, z, [stroke]))) == 3).any()
    again = paint(gan, z, strokes_from_json(gan, stroke.to_json()))
    np.testing.assert_allclose(again, paint(gan, z, [stroke]), atol=1e-6)
    door = Stroke.of(found, "door", everywhere, strength="low")
    assert (np.asarray(oracle(paint(gan, z, [door]))) == 4).sum() > (np.asarray(oracle(gan(z))) == 4).sum()
    largest, mean = region(gan, "cells", z, everywhere)
    assert (largest >= mean).all()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"threshold": 2.0}, "between 0 and 1"),
        ({"quantile_domain": "both"}, "quantile domain"),
        ({"compat": "2018"}, "convention"),
        ({"n": 0}, "from 1 up"),
    ],
)
def test_bad_requests_are_refused_in_one_line(gan, oracle, settings, complaint):
    with pytest.raises(GanxError, match=complaint):
        dissect(gan, "cells", oracle, **settings)
    with pytest.raises(GanxError, match="no feature maps"):
        dissect(gan, "rgb", oracle)


def test_strokes_come_from_json_in_every_form_of_a_mask(gan):
    grey = io.BytesIO()
    Image.fromarray(np.array([[255, 0]], np.uint8)).save(grey, "PNG")
    forms = (
        [[1, 0]],
        {"shape": [1, 2], "bitstring": "10"},
        "data:image/png;base64," + base64.b64encode(grey.getvalue()).decode(),
    )
    for mask in forms:
        (stroke,) = strokes_from_json(gan, [{"unit": 3, "layer": "cells", "value": 2, "mask": mask}])
        np.testing.assert_array_equal(stroke.edit(gan).alpha[..., 3], np.repeat([[1, 0]], 8, 0).repeat(4, 1))
        assert stroke.value[3] == 2


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"unit": 24}, "units 0 to 23"),
        ({"unit": "3"}, "unit of an intervention is a number"),
        ({"alpha": 2}, r"alpha is in \[0, 1\]"),
        ({"value": "high"}, "value of an intervention is a number"),
        ({"layer": "rgb"}, "no feature maps"),
        ({"layer": "conv9"}, "no stage named"),
        ({"mask": "data:image/png;base64,AAAA"}, "mask cannot be read"),
        ({"mask": "everywhere"}, "mask cannot be read"),
        ({"mask": [[2.0]]}, "mask cannot be read"),
        ({"mask": {"shape": [2, 2], "bitstring": "01"}}, "mask cannot be read"),
        ({"mask": {"shape": [1, 2], "bitstring": "0x"}}, "mask cannot be read"),
    ],
)
def test_what_is_wrong_with_an_intervention_is_said(gan, wrong, complaint):
    with pytest.raises(GanxError, match=complaint):
        strokes_from_json(gan, [{"unit": 3, "layer": "cells", **wrong}])


def test_labels_that_are_known_are_not_segmented_again(gan, oracle, found):
    seen = []

    def segment(images):
        seen.append(len(images))
        return np.asarray(oracle(images))

    host, known = HostSegmenter(segment, oracle.names), Known()
    again = lambda: dissect(gan, "cells", host, 64, 0.05, key=jax.random.key(0), topk=5, known=known)  # noqa: E731
    once = again()
    assert sum(seen) == 64
    twice = again()
    assert sum(seen) == 64
    for one in (once, twice):
        np.testing.assert_array_equal(one.counts.intersection, found.counts.intersection)
        np.testing.assert_array_equal(one.top_index, found.top_index)
    for other in (
        Samples(gan, "cells", host, jax.random.key(1), 8, known=known),
        Samples(gan, "cells", host, jax.random.key(0), 8),
    ):
        next(iter(other))
    assert sum(seen) == 80
    full = Known(room=10)
    for _ in range(2):
        next(iter(Samples(gan, "cells", host, jax.random.key(0), 8, known=full)))
    assert sum(seen) == 96
