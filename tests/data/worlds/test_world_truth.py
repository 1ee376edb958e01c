"""Worlds tell the truth: masks, attributes and priors are what the pictures show."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from ganx.data.worlds import WORLDS, PictureWorld, priors, world
from ganx.data.worlds.faces import SUPER

PICTURES = [name for name, kind in WORLDS.items() if issubclass(kind, PictureWorld)]


@pytest.mark.parametrize(("name", "size"), list(itertools.product(PICTURES, (32, 64, 128))))
def test_colour_oracle_reads_the_mask_exactly(drawn, name, size):
    _, example, read = drawn(name, size)
    np.testing.assert_array_equal(read, example.mask)


@pytest.mark.parametrize(("name", "least"), [("digits", 100), ("faces", 60), ("scenes", 100)])
def test_palettes_keep_their_colours_apart(name, least):
    assert world(name).palette.least_distance() >= least


@pytest.mark.parametrize("name", PICTURES)
def test_readers_make_no_mistake_on_512_clean_renders(drawn, name):
    kind, example, _ = drawn(name, 64)
    for batch in (example, kind.gather(np.arange(256, 512))):
        read = kind.read(batch.image)
        assert set(read) == set(batch.attrs) - {"number"}
        for key, values in read.items():
            np.testing.assert_array_equal(values, batch.attrs[key], err_msg=key)


def test_oracle_takes_floats_as_it_takes_bytes(drawn):
    kind, example, read = drawn("faces", 32)
    np.testing.assert_array_equal(kind.oracle(example.image[:20] / np.float32(127.5) - 1), read[:20])


def test_every_class_can_be_seen(drawn):
    for name in PICTURES:
        kind, example, _ = drawn(name, 64)
        shares = np.asarray(kind.pixel_shares(example.mask))
        np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
        assert (shares.max(0) > 0).all()


def test_unknown_pixels_do_not_count():
    mask = np.full((1, 4, 4), 255, np.uint8)
    mask[0, 0] = [0, 1, 1, 1]
    np.testing.assert_allclose(world("digits").pixel_shares(mask), [[0.25, 0.75, 0]])


def test_super_parts_cover_all_classes(drawn):
    kind, example, _ = drawn("faces", 32)
    assert sorted(part for _, parts in SUPER for part in parts) == sorted(kind.CLASSES)
    merged = np.asarray(kind.to_super(example.mask))
    names = [name for name, _ in SUPER]
    brows = [kind.CLASSES.index(part) for part in ("left brow", "right brow")]
    np.testing.assert_array_equal(merged == names.index("brows"), np.isin(example.mask, brows))
    assert kind.to_super(np.full((1, 2, 2), 255, np.uint8)).min() == 255


def test_margins_follow_the_prior():
    n = 20_000
    for name, options in [
        ("faces", {"prior": {"hair": [1, 2, 3, 4], ("skin", "bangs"): [[1, 2], [3, 4], [5, 6]]}}),
        ("digits", {}),
        ("scenes", {"freq": {"person": 0.05}}),
    ]:
        kind = world(name, seed=1, **options)
        attrs = _attrs(kind, n)
        for axis, (key, values) in enumerate(kind.ATTRS.items()):
            want = priors.margin(kind.table, axis)
            share = np.bincount(attrs[key], minlength=len(values)) / n
            assert (np.abs(share - want) <= 3 * np.sqrt(want * (1 - want) / n)).all(), (name, key)


def test_correlated_tables_are_drawn_as_given():
    table = np.array([[1, 2], [3, 4], [5, 6]]) / 21
    attrs = _attrs(world("faces", prior={("skin", "bangs"): table}), 20_000)
    counts = np.zeros((3, 2))
    np.add.at(counts, (attrs["skin"], attrs["bangs"]), 1)
    np.testing.assert_allclose(counts / 20_000, table, atol=0.015)


def test_excluded_combinations_are_never_drawn_and_can_be_balanced():
    exclude = [{"hair": "blond", "smile": "yes"}, {"hair": "blond", "smile": "no", "glasses": "yes"}]
    attrs = _attrs(world("faces", exclude=exclude), 20_000)
    blond = attrs["hair"] == 1
    assert blond.any()
    assert not (blond & ((attrs["smile"] == 1) | (attrs["glasses"] == 1))).any()
    balanced = world("faces", exclude=exclude, balance=("hair", "smile", "glasses"))
    for axis in range(3):
        margin = priors.margin(balanced.table, axis)
        np.testing.assert_allclose(margin, 1 / len(margin), atol=1e-6)
    assert balanced.table[1, 1].sum() == 0


def test_dropped_classes_are_in_no_training_mask():
    options = {"size": 32, "drop": ("person", "house")}
    gone = [world("scenes").CLASSES.index(part) for part in ("person", "wall", "roof", "door", "window")]
    train = world("scenes", **options).gather(np.arange(128))
    assert not np.isin(train.mask, gone).any()
    assert not train.attrs["person"].any()
    assert not train.attrs["house"].any()
    test = world("scenes", split="test", **options).gather(np.arange(128))
    assert np.isin(gone, test.mask).all()


def test_large_objects_are_dropped_and_small_ones_kept():
    options = {"size": 32, "freq": {"person": 1}}
    person = world("scenes").CLASSES.index("person")
    free, capped = (world("scenes", **options, max_area=cap) for cap in ({}, {"person": 0.012}))
    before, after = (kind.pixel_shares(kind.gather(np.arange(128)).mask)[:, person] for kind in (free, capped))
    large = np.asarray(before > 0.012)
    assert 0 < large.sum() < 128
    np.testing.assert_array_equal(after, np.where(large, 0, before))
    np.testing.assert_array_equal(capped.gather(np.arange(128)).attrs["person"], ~large)


def test_counterfactuals_change_one_attribute_and_nothing_outside():
    kind = world("faces", size=64)
    params = kind.params(jnp.arange(32))
    images = kind.draw(params).image
    read = kind.read(images)
    for name, value in [
        ("glasses", 1),
        ("hair", "grey"),
        ("smile", "yes"),
        ("hair_length", 1 - params.attrs["hair_length"]),
    ]:
        other = kind.counterfactual(params, name, value)
        changed_images = kind.draw(other).image
        changed_read = kind.read(changed_images)
        apart = np.abs(np.asarray(images, np.int32) - np.asarray(changed_images, np.int32)).max(-1)
        assert (apart > 0).any()
        np.testing.assert_array_equal(changed_read[name], other.attrs[name])
        for key in set(read) - {name}:
            np.testing.assert_array_equal(changed_read[key], read[key], err_msg=f"{name} changed {key}")
    changed = np.asarray(kind.changed(params, "hair_length", 1 - params.attrs["hair_length"]))
    np.testing.assert_array_equal(changed, apart > 8)
    assert (apart[~changed] == 0).all()


def test_a_number_can_be_counterfactual_too():
    kind = world("faces", size=32)
    params = kind.params(jnp.arange(4))
    moved = kind.counterfactual(params, "roll", 0.1)
    np.testing.assert_allclose(moved.values["roll"], 0.1)
    assert moved.attrs is params.attrs


def _attrs(kind: PictureWorld, n: int) -> dict[str, np.ndarray]:
    return {key: np.asarray(leaf) for key, leaf in kind.params(jnp.arange(n)).attrs.items()}
