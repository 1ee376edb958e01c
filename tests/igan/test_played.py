"""The game at a cut: a ReLU in every pass, and hybrids of whole groups."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.igan.cut import Cut
from ganx.igan.played import CutPlayers, hybrid
from ganx.models import build_generator, init_generator
from ganx.models.initialise import initialise
from ganx.training.mesh import make_mesh
from ganx.training.players import Players

KEY = jax.random.key(0)
N, GROUPS = 32, 4


@pytest.fixture(scope="module")
def players():
    """Of a PGGAN, whose images do not depend on the rest of the batch; 4 groups of the filters at 4 x 4."""
    generator = build_generator("pggan", {"resolution": 8, "channel_base": 64, "channel_max": 8, "latent": 8})
    stage = "layer1"
    plain = Players(generator, None, 0.0, None)
    grouping = jnp.arange(8) % GROUPS
    cut = CutPlayers(generator, None, 0.0, None, cut=Cut(stage), hybrids=1.0, groups=GROUPS, grouping=grouping)
    return plain, cut, initialise(lambda key: init_generator(generator, key), KEY)


def images(players, variables):
    return np.asarray(jax.jit(lambda v: players.fakes(v["params"], {}, jax.random.key(1), N)[0])(variables))


def test_a_hybrid_has_the_filters_of_the_next():
    features = jnp.arange(12.0).reshape(3, 1, 1, 4)
    taken = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
    got = hybrid(features, taken)[:, 0, 0]
    np.testing.assert_array_equal(got, [[4, 1, 2, 7], [4, 5, 6, 7], [0, 1, 2, 3]])


def test_no_groups_and_no_hybrids_are_the_game_as_it_was(players):
    plain, cut, variables = players
    want = images(plain, variables)
    np.testing.assert_array_equal(images(dataclasses.replace(cut, grouping=None), variables), want)
    np.testing.assert_array_equal(images(dataclasses.replace(cut, hybrids=0.0), variables), want)


def test_hybrids_take_whole_groups_few_or_many(players):
    plain, cut, variables = players
    want = images(plain, variables)
    one = dataclasses.replace(cut, groups=1, grouping=jnp.zeros(8, jnp.int32))  # all filters, or none
    got = images(one, variables)
    moved = np.abs(got - want).max((1, 2, 3)) > 1e-6
    np.testing.assert_allclose(got, np.where(moved[:, None, None, None], np.roll(want, -1, 0), want), atol=1e-6)
    assert 0.2 < moved.mean() < 0.8  # every group is taken as often as not
    mixed = images(cut, variables)
    donor, own = (np.abs(mixed - x).max((1, 2, 3)) > 1e-6 for x in (np.roll(want, -1, 0), want))
    assert (donor & own).mean() > 0.4  # neither the one nor the other


def test_a_share_of_the_images_is_left_alone(players):
    plain, cut, variables = players
    some = images(dataclasses.replace(cut, hybrids=0.25), variables)
    whole = np.abs(some - images(plain, variables)).max((1, 2, 3)) < 1e-6
    assert 0.55 < whole.mean() < 0.95


def test_the_gradient_reaches_both_halves(players):
    _, cut, variables = players
    grads = jax.jit(jax.grad(lambda p: jnp.square(cut.fakes(p, {}, KEY, 4)[0]).sum()))(variables["params"])
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(grads["layer0"])), grads.keys()


def test_eight_devices_draw_the_same_hybrids(players):
    _, cut, variables = players
    eight = dataclasses.replace(cut, mesh=make_mesh(jax.devices()))
    np.testing.assert_allclose(images(eight, variables), images(cut, variables), atol=1e-5)
