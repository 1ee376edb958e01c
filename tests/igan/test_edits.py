"""Edits touch the channels they name and no others; at any generator's cut they are identities where they should be."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import planted
import pytest

from ganx import GanxError
from ganx.igan.cut import Cut, choose_cut, rectified
from ganx.igan.edits import check_groups, collage, erase, mask_at, move, select, swap
from ganx.igan.energy import energy
from ganx.igan.langevin import LangevinRule, langevin
from ganx.igan.swaps import settle_swap, swap_each_group, swap_parts
from ganx.models import init_gan

LABELS = jnp.array([0, 1, 1, 2, 0])
STYLE = {"resolution": 8, "latent": 8, "style": 8, "mapping_layers": 1, "channel_base": 64, "channel_max": 8}


@pytest.fixture(scope="module")
def pair():
    return jax.random.normal(jax.random.key(0), (2, 3, 4, 4, 5))


@pytest.fixture(scope="module", params=[("dcgan", {"resolution": 16, "width": 8}), ("stylegan2", STYLE)])
def opened(request):
    """A fresh generator, its cut, and two batches there."""
    gan = init_gan(*request.param, jax.random.key(1))
    cut = choose_cut(gan)
    if request.param[0] == "stylegan2":
        gan = dataclasses.replace(gan, module=rectified(gan.module, cut.stage))
    z = gan.latents(jax.random.key(2), 4)
    return gan, cut, z, cut.lower(gan, z[:2]), cut.lower(gan, z[2:])


def test_swap_and_erase_touch_the_groups_named(pair):
    f, donor = pair
    channels = select(LABELS, [0, 2])
    np.testing.assert_array_equal(channels, [True, False, False, True, True])
    swapped, erased = swap(donor, channels)(f), erase(channels)(f)
    np.testing.assert_array_equal(swapped[..., channels], donor[..., channels])
    np.testing.assert_array_equal(swapped[..., ~channels], f[..., ~channels])
    np.testing.assert_array_equal(erased[..., ~channels], f[..., ~channels])
    assert not np.asarray(erased[..., channels]).any()
    np.testing.assert_array_equal(swap(f, channels)(swapped), f)


def test_names_of_groups_do_not_matter(pair):
    f, donor = pair
    names = jnp.array([2, 0, 1])
    want = swap(donor, select(LABELS, [0, 2]))(f)
    np.testing.assert_array_equal(swap(donor, select(names[LABELS], [2, 1]))(f), want)


@pytest.mark.parametrize(
    "edit",
    [
        lambda channels, donor: swap(donor, channels),
        lambda channels, _: erase(channels),
        lambda channels, _: move(channels, 1, -1),
    ],
    ids=["swap", "erase", "move"],
)
def test_an_edit_goes_as_far_with_each_group_as_asked(pair, edit):
    f, donor = pair
    channels = select(LABELS, {0: 0.25, 1: 1.0})
    np.testing.assert_array_equal(channels, [0.25, 1, 1, 0, 0.25])
    found, whole = edit(channels, donor)(f), edit(select(LABELS, [0, 1]), donor)(f)
    np.testing.assert_array_equal(found[..., 3], f[..., 3])
    np.testing.assert_array_equal(found[..., 1:3], whole[..., 1:3])
    quarter = 0.75 * f + 0.25 * whole
    np.testing.assert_allclose(found[..., ::4], quarter[..., ::4], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(edit(select(LABELS, {0: 1.0, 1: 1.0}), donor)(f), whole)


def test_move_translates_and_fills_with_zeros(pair):
    f, channels = pair[0], select(LABELS, 0)
    moved = jax.jit(lambda down, right: move(channels, down, right)(f))(1, -2)
    want = np.zeros_like(f)
    want[:, 1:, :2] = f[:, :-1, 2:]
    np.testing.assert_array_equal(moved[..., channels], want[..., channels])
    np.testing.assert_array_equal(moved[..., ~channels], f[..., ~channels])
    assert not np.asarray(move(channels, 4, 0)(f)[..., channels]).any()


def test_collage_takes_all_channels_inside_the_mask(pair):
    f, donor = pair
    mask = mask_at(jnp.zeros((8, 8)).at[:4, 2:4].set(1).at[4, 0].set(1), 4)
    np.testing.assert_array_equal(mask[:, 0], [0, 0, 0.25, 0])
    np.testing.assert_array_equal(mask[:2, 1], [1, 1])
    mixed = collage(donor, mask)(f)
    np.testing.assert_array_equal(mixed[:, :2, 1], donor[:, :2, 1])
    np.testing.assert_array_equal(mixed[:, :, 2:], f[:, :, 2:])
    with pytest.raises(GanxError, match="does not divide"):
        mask_at(jnp.ones((6, 6)), 4)


def test_a_cut_generator_is_the_generator(opened):
    gan, cut, z, a, _ = opened
    np.testing.assert_array_equal(cut.upper(gan, a), gan(z)[:2])
    if gan.module.rectified:
        assert a.features.min() == 0
    side, _, channels = gan.shapes[cut.stage]
    assert side <= gan.spec.resolution // 2
    assert a.features.shape == (2, side, side, channels)
    assert channels > 4
    assert (np.asarray(a.features) >= 0).all()


def test_swap_identities(opened):
    gan, cut, _, a, b = opened
    filters = a.features.shape[-1]
    none, everything = jnp.zeros(filters, bool), jnp.ones(filters, bool)
    some = jnp.arange(filters) % 3 == 0
    nothing = swap_parts(gan, cut, a, b, none)
    np.testing.assert_array_equal(nothing.a_with_b, nothing.a)
    np.testing.assert_array_equal(nothing.b_with_a, nothing.b)
    whole = swap_parts(gan, cut, a, b, everything)
    np.testing.assert_array_equal(whole.a_with_b, cut.upper(gan, a.with_features(b.features)))
    once = swap_parts(gan, cut, a, b, some)
    a1, b1 = (x.with_features(swap(y.features, some)(x.features)) for x, y in ((a, b), (b, a)))
    twice = swap_parts(gan, cut, a1, b1, some)
    np.testing.assert_array_equal(twice.a, once.a_with_b)
    np.testing.assert_array_equal(twice.a_with_b, once.a)
    np.testing.assert_array_equal(twice.b_with_a, once.b)
    assert np.abs(once.a_with_b - once.a).max() > 0


def test_all_groups_at_once_are_the_swaps_one_by_one(opened):
    gan, cut, _, a, b = opened
    labels = jnp.arange(a.features.shape[-1]) % 3
    each = swap_each_group(gan, cut, a, b, labels, 3)
    assert each.shape == (3, *cut.upper(gan, a).shape)
    np.testing.assert_allclose(each[1], swap_parts(gan, cut, a, b, select(labels, 1)).a_with_b, atol=1e-5)


def test_cuts_that_do_not_exist_are_refused(opened):
    gan = opened[0]
    with pytest.raises(GanxError, match="gives no maps of many filters; cut at one of"):
        choose_cut(gan, gan.stages[-1])
    with pytest.raises(GanxError, match="no group 9: this partition has groups 0 to 7"):
        check_groups([1, 9], 8)
    assert check_groups([1, 7], 8) == (1, 7)


def test_settling_a_swap_is_langevin_on_both_latents():
    """Without a swap each latent follows its own energy; with one both follow that of the swapped images."""
    gan, cut = planted.painter(), Cut("filters")
    labels = jnp.asarray(planted.parts())
    weights = jax.random.normal(jax.random.key(3), (planted.SIDE**2, planted.FILTERS, planted.PARTS))
    z_a, z_b = (gan.latents(key, 8) for key in jax.random.split(jax.random.key(4)))
    rule = LangevinRule(steps=2, step_size=0.1)

    def features_of(z):
        return cut.lower(gan, z).features

    @jax.jit
    def settle(channels):
        return settle_swap(features_of, z_a, z_b, channels, weights, labels, jax.random.key(5), rule)

    none, some = jnp.zeros(planted.FILTERS, bool), select(labels, [0, 3])
    apart_a, apart_b, _ = settle(none)
    pairs = jnp.stack([z_a, z_b], 1)

    def own_energy(pairs):
        return energy(features_of(pairs.reshape(16, -1)), weights, labels).reshape(8, 2).sum(1)

    own = jax.jit(lambda pairs, key: langevin(own_energy, pairs, key, rule))(pairs, jax.random.key(5))
    np.testing.assert_allclose(jnp.stack([apart_a, apart_b], 1), own.z, rtol=1e-3, atol=1e-4)
    new_a, new_b, chain = settle(some)
    assert np.abs(new_a - apart_a).max() > 1e-3
    assert float(chain.score) > 0

    @jax.jit
    def score(z_a, z_b):
        f, g = features_of(z_a), features_of(z_b)
        return sum(energy(swap(y, some)(x), weights, labels).sum() for x, y in ((f, g), (g, f)))

    assert score(new_a, new_b) > score(z_a, z_b)
