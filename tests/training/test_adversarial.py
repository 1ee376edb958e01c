"""The game: what each part of a step does, for both families."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganx.data import open_source
from ganx.models.initialise import initialise
from ganx.training import default_config
from ganx.training.adversarial import build_game
from ganx.training.averaging import Averaging
from ganx.training.players import Players

LAZY = {"r1": False, "path_length": False}


@pytest.fixture(scope="module")
def spec(pictures):
    return open_source(pictures).spec


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(9), (8, 8, 8, 3), minval=-1.0)


def dcgan_config(**changes):
    config = default_config()
    config.model.generator = {"width": 4, "latent": 4}
    config.model.discriminator = {"width": 4}
    config.batch = 8
    config.ema_kimg = 0.05
    with config.unlocked():
        config.update(changes)
    return config


def stylegan2_config(**changes):
    config = dcgan_config()
    config.model.family = "stylegan2"
    networks = {"channel_max": 4, "channel_base": 64}
    config.model.generator = {**networks, "latent": 4, "style": 4, "mapping_layers": 2}
    config.model.discriminator = networks
    config.share_fakes = False
    config.style_mixing = 0.9
    config.path_length.weight = 2.0
    config.r1.gamma = 1.0
    with config.unlocked():
        config.update(changes)
    return config


def play(config, spec, images, due=LAZY, seed=0):
    game = build_game(config, spec)
    state = initialise(lambda key: game.init(key, spec.shape), jax.random.key(seed))
    after, metrics = jax.jit(lambda s, x: game.step(s, {"image": x}, due))(state, images)
    chex.assert_tree_all_finite((after.g, after.d, after.ema, metrics))
    return game, state, after, metrics


def test_the_generator_learns_from_the_updated_discriminator(spec, images):
    """Shared fakes: G's gradient equals the one taken through the whole chain by hand, after D has moved."""
    game, state, after, metrics = play(dcgan_config(), spec, images)
    _, g_key, _ = jax.random.split(jax.random.fold_in(state.key, state.step), 3)

    def loss(params):
        fake, _ = game.players.fakes(params, state.g.stats, g_key, 8)
        return jax.nn.softplus(-game.players.judge(after.d.params, after.d.stats, fake)[0]).mean()

    value, grads = jax.jit(jax.value_and_grad(loss))(state.g.params)
    assert float(metrics["loss_g"]) == pytest.approx(float(value), rel=1e-4)
    moved = state.g.update(grads, game.g_opt).params
    chex.assert_trees_all_close(after.g.params, moved, atol=2e-5)


def test_the_average_follows_its_half_life(spec, images):
    """After h thousand images an old value counts half: batch 8, half-life 50 images."""
    game, state, after, _ = play(dcgan_config(), spec, images)
    beta = 0.5 ** (8 / 50)
    expected = jax.tree.map(lambda old, new: beta * old + (1 - beta) * new, state.g.params, after.g.params)
    chex.assert_trees_all_close(after.ema["params"], expected, atol=1e-6)
    assert float(game.averaging.decay(0)) == pytest.approx(beta)


def test_no_average_means_the_generator_itself(spec, images):
    _, _, after, _ = play(dcgan_config(ema_kimg=0.0), spec, images)
    chex.assert_trees_all_close(after.ema["params"], after.g.params, atol=1e-7)


def test_a_bfloat16_generator_still_has_a_float32_average_that_moves(spec, images):
    _, state, after, _ = play(dcgan_config(dtype="bfloat16", ema_kimg=10.0), spec, images)
    leaves = jax.tree.leaves((after.g.params, after.ema, after.g.opt))
    assert all(leaf.dtype in (jnp.float32, jnp.int32) for leaf in leaves)
    moved = [bool((a != b).any()) for a, b in zip(*map(jax.tree.leaves, (state.ema, after.ema)), strict=True)]
    assert all(moved)


def test_a_lazy_penalty_moves_d_only_when_it_is_due(spec, images):
    config = dcgan_config()
    config.r1.gamma, config.r1.every = 4.0, 2
    _, _, idle, quiet = play(config, spec, images)
    game, state, after, metrics = play(config, spec, images, {"r1": True})
    assert float(quiet["r1"]) == 0.0
    assert float(metrics["r1"]) > 0.0
    chex.assert_trees_all_close(after.g.params, idle.g.params, atol=1e-6)  # G had its turn before

    def weighted(params):  # reverse over reverse, the plain way
        logits = lambda x: game.players.judge(params, idle.d.stats, x)[0].sum()  # noqa: E731
        return 4.0 * 2 * 0.5 * jnp.square(jax.grad(logits)(images)).sum((1, 2, 3)).mean()

    expected = idle.d.update(jax.jit(jax.grad(weighted))(idle.d.params), game.d_opt)
    chex.assert_trees_all_close(after.d.params, expected.params, atol=2e-5)
    del state


def test_lazy_penalties_adjust_adam_as_published(spec):
    """lr c, beta^c with c = k/(k+1) (StyleGAN2, appendix B): seen in Adam's first step, which has size lr c."""
    config = dcgan_config()
    config.r1.gamma, config.r1.every, config.d.lr = 1.0, 16, 0.01
    game = build_game(config, spec)
    params = {"w": jnp.ones(3)}
    update, _ = game.d_opt.update({"w": jnp.ones(3)}, game.d_opt.init(params), params)
    np.testing.assert_allclose(optax.apply_updates(params, update)["w"], 1 - 0.01 * 16 / 17, rtol=1e-5)


@pytest.mark.parametrize("loss", ["hinge", "least_squares", "saturating"])
def test_every_loss_trains(spec, images, loss):
    _, state, after, _ = play(dcgan_config(loss=loss), spec, images)
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (state.g.params, after.g.params)), strict=True))


def test_wgan_gp_with_several_critic_steps(spec):
    """Each of d_steps critic updates sees its own reals; the penalty and drift are part of the critic's loss."""
    config = dcgan_config(loss="wasserstein", d_steps=2, drift=0.001)
    config.gradient_penalty.weight = 10.0
    config.model.discriminator = {"width": 4, "norm": False}
    reals = jax.random.uniform(jax.random.key(3), (16, 8, 8, 3), minval=-1.0)
    _, _, after, metrics = play(config, spec, reals)
    _, _, other, _ = play(config, spec, reals.at[:8].multiply(-1.0))
    assert float(metrics["gp"]) > 0
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (after.d.params, other.d.params)), strict=True))


@pytest.fixture(scope="module")
def styled(spec, images):
    return play(stylegan2_config(), spec, images, {"r1": True, "path_length": True})


def test_stylegan2_trains_with_all_its_regularisers(styled):
    _, state, after, metrics = styled
    assert float(metrics["r1"]) > 0
    assert float(metrics["path_length"]) > 0
    assert float(after.path_mean) > 0
    for part in ("g", "d"):
        old, new = (jax.tree.leaves_with_path(getattr(s, part).params) for s in (state, after))
        still = [jax.tree_util.keystr(path) for (path, a), (_, b) in zip(old, new, strict=True) if (a == b).all()]
        assert still == []  # every parameter has a gradient


def test_the_mean_code_moves_while_training_and_is_copied_to_the_average(styled):
    _, state, after, _ = styled
    w_avg = after.g.stats["averages"]["map"]["w_avg"]
    assert (state.g.stats["averages"]["map"]["w_avg"] == 0).all()
    assert (w_avg != 0).any()
    assert (after.ema["averages"]["map"]["w_avg"] == w_avg).all()


def test_style_mixing_replaces_layers_from_a_cutoff_on():
    players = Players(None, None, mixing=0.9, mesh=None)
    one, two = jnp.zeros((2000, 6, 3)), jnp.ones((2000, 6, 3))
    mixed = np.asarray(players._mix(one, two, jax.random.key(0), used=6))
    assert (mixed == mixed[..., :1]).all()  # a layer's code is taken whole
    steps = np.diff(mixed[..., 0], axis=1)
    assert (steps >= 0).all()  # the second code from a layer on, never before it
    assert (mixed[:, 0] == 0).all()  # the first layer always keeps the first code
    assert (mixed[:, -1, 0] == 1).mean() == pytest.approx(0.9, abs=0.03)


def test_average_copies_what_is_no_parameter():
    ema = {"params": jnp.zeros(2), "batch_stats": jnp.zeros(2), "averages": jnp.zeros(2), "constants": jnp.ones(2)}
    now = {name: value + 1 for name, value in ema.items()}
    new = Averaging(batch=2, kimg=0.002 / np.log2(4 / 3))(ema, now, step=0)  # three quarters are left
    np.testing.assert_allclose(new["params"], 0.25, rtol=1e-5)
    np.testing.assert_allclose(new["batch_stats"], 0.25, rtol=1e-5)
    assert (new["averages"] == 1).all()
    assert (new["constants"] == 2).all()
