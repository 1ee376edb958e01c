"""Losses against hand-computed values, the penalty against per-sample gradients, the traps of labels and rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.modulargan.duel import schedule
from ganx.modulargan.game import ModularGame, Weights
from ganx.modulargan.losses import classification, slope_penalty, wasserstein
from ganx.modulargan.targets import KINDS, draw_targets


def test_classification_is_softmax_over_three_and_binary_over_two():
    logits = jnp.array([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]])
    values = jnp.array([1, 0])
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    want = -np.log([p[0, 1], p[1, 0]]).mean()
    np.testing.assert_allclose(classification(logits, values, 3), want, rtol=1e-6)
    one = jnp.array([[0.3], [-1.2]])
    want = -np.log([1 / (1 + np.exp(-0.3)), 1 - 1 / (1 + np.exp(1.2))]).mean()
    np.testing.assert_allclose(classification(one, jnp.array([1, 0]), 2), want, rtol=1e-6)


def test_bce_sum_adds_logits_and_divides_by_the_batch():
    """So hair with three logits weighs three times a binary attribute at the same certainty."""
    zero, three = jnp.zeros((4, 1)), jnp.zeros((4, 3))
    values = jnp.array([0, 1, 0, 1])
    assert float(classification(three, values, 3, "bce_sum")) == pytest.approx(3 * np.log(2), rel=1e-6)
    assert float(classification(zero, values, 2, "bce_sum")) == pytest.approx(np.log(2), rel=1e-6)


def test_unknown_labels_count_nothing():
    logits = jnp.array([[1.0, 2.0, 0.5], [9.0, -9.0, 3.0]])
    assert float(classification(logits, jnp.array([1, -1]), 3)) == pytest.approx(
        float(classification(logits[:1], jnp.array([1]), 3)), rel=1e-6
    )
    grad = jax.grad(lambda x: classification(x, jnp.array([1, -1]), 3))(logits)
    np.testing.assert_array_equal(grad[1], 0.0)
    assert float(classification(logits, jnp.array([-1, -1]), 3)) == 0.0


def test_targets_are_always_valid_and_another_value_where_asked_for():
    values = jnp.array([[0, 1], [2, 0], [-1, -1]] * 200)
    for kind in KINDS:
        target = draw_targets(jax.random.key(0), values, (3, 2), kind)
        assert int(target.min()) == 0
        np.testing.assert_array_equal(target.max(0), [2, 1])
    other = draw_targets(jax.random.key(0), values, (3, 2))
    assert not bool((other == values).any())
    assert set(np.asarray(other[0::3, 0]).tolist()) == {1, 2}
    assert set(np.asarray(other[2::3, 0]).tolist()) == {0, 1, 2}
    own = np.asarray(draw_targets(jax.random.key(0), values, (3, 2), "any") == values)[:, 1]
    assert 0.4 < np.concatenate([own[0::3], own[1::3]]).mean() < 0.6  # as often as not, of two values


def test_permuted_targets_are_whole_rows_of_the_batch():
    values = jnp.stack([jnp.arange(8) % 3, (jnp.arange(8) % 3 == 1) * 1], -1)
    target = np.asarray(draw_targets(jax.random.key(0), values, (3, 2), "permute"))
    np.testing.assert_array_equal(target[:, 1], target[:, 0] == 1)
    assert sorted(target[:, 0].tolist()) == sorted(np.asarray(values)[:, 0].tolist())


def curved(params, x):
    """A critic of four patches that is neither linear nor separable."""
    maps = jnp.tanh(jnp.einsum("nhwc,hwcp->np", x, params))
    return maps.reshape(-1, 2, 2), jnp.zeros((len(x), 1))


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_the_penalty_equals_per_sample_gradients(reduce):
    keys = jax.random.split(jax.random.key(0), 4)
    params = jax.random.normal(keys[0], (4, 4, 3, 4))
    real, fake = jax.random.normal(keys[1], (2, 5, 4, 4, 3))
    epsilon = jax.random.uniform(keys[2], (5,))
    x = epsilon[:, None, None, None] * real + (1 - epsilon[:, None, None, None]) * fake
    pick = {"sum": jnp.sum, "mean": jnp.mean}[reduce]
    slope = jax.vmap(jax.grad(lambda one: pick(curved(params, one[None])[0])))(x)
    want = jnp.square(jnp.linalg.norm(slope.reshape(5, -1), axis=1) - 1).mean()
    np.testing.assert_allclose(slope_penalty(curved, params, real, fake, epsilon, reduce), want, rtol=1e-5)


def test_a_linear_critic_of_unit_slope_is_not_penalised_and_the_mean_has_a_quarter_of_it():
    weight = jax.random.normal(jax.random.key(0), (4, 4, 3))
    weight = weight / jnp.linalg.norm(weight)

    def critic(params, x):
        score = jnp.einsum("nhwc,hwc->n", x, params) / 4
        return jnp.broadcast_to(score[:, None, None], (len(x), 2, 2)), jnp.zeros((len(x), 1))

    x = jax.random.normal(jax.random.key(1), (2, 3, 4, 4, 3))
    penalty = lambda reduce: float(slope_penalty(critic, weight, x[0], x[1], jnp.full(3, 0.3), reduce))  # noqa: E731
    assert penalty("sum") == pytest.approx(0.0, abs=1e-6)
    assert penalty("mean") == pytest.approx((1 / 4 - 1) ** 2, rel=1e-5)


def test_schedules():
    paper, released = schedule("paper", 1e-4, 200_000), schedule("released", 1e-4, 200_000)
    np.testing.assert_allclose([paper(0), paper(100_000), paper(150_000), paper(200_000)], [1e-4, 1e-4, 5e-5, 0.0])
    assert float(released(200_000)) == pytest.approx(1e-4 * (1 - 100 / 100_000), rel=1e-5)  # it hardly decays


class Constants:
    """Networks whose outputs are plain numbers: encoder 2x, source 1 + content, transformer +a, reconstructor f/4, D_i
    linear with logits of 0."""

    attributes = (("hair", ("a", "b", "c")), ("smile", ("no", "yes")))
    latent = 2

    def __init__(self, classes=0):
        self.classes = classes

    def apply(self, variables, *args, method):
        if method == "encode":
            return 2.0 * args[0]
        if method == "generate":
            return jnp.broadcast_to(1.0 + args[1][:, None, None, None], (len(args[1]), 4, 4, 3))
        if method == "reconstruct":
            return args[0] / 4.0
        if method == "transform":
            name, f, _ = args
            return f + {"hair": 1.0, "smile": 3.0}[name], jnp.ones((*f.shape[:3], 1))
        name, x = args
        score = {"hair": 0.5, "smile": -2.0, "content": 1.5}[name] * x.mean((1, 2, 3)) * variables["params"]
        width = {"hair": 3, "smile": 1, "content": self.classes}[name]
        return jnp.broadcast_to(score[:, None, None], (len(x), 2, 2)), jnp.zeros((len(x), width))


def test_full_objectives_add_up_by_hand():
    net = Constants()
    weights = Weights(classification=2.0, cycle_image=5.0, cycle_features=7.0, penalty=3.0)
    game = ModularGame(net, net, weights, ("hair", "smile"))
    x = jnp.stack([jnp.full((4, 4, 3), 1.0), jnp.full((4, 4, 3), -0.5)])
    batch = {"image": x, "values": jnp.array([[0, 1], [2, 0]])}
    params = {"params": jnp.float32(1.0)}
    loss_g, _ = game.g_loss({}, params, batch, jax.random.key(0))
    # f = 2x, f_hair = 2x + 1, f_smile = 2x + 3; images a quarter of them; x has mean 1/4
    scores = 0.5 * (0.5 / 4 + 1 / 4) - 2.0 * (0.5 / 4 + 3 / 4)
    cls = np.log(3) + np.log(2)
    cycle_image = 0.5 * (0.5 + 0.25)  # |x/2 - x|
    cycle_features = sum(np.mean([abs((2 * v + c) / 2) for v in (1.0, -0.5)]) for c in (1, 3))
    assert float(loss_g) == pytest.approx(-scores + 2 * cls + 5 * cycle_image + 7 * cycle_features, rel=1e-5)
    loss_d, _ = game.d_loss(params, {}, batch, jax.random.key(0))
    critic = 0.5 * (0.375 - 0.25) - 2.0 * (0.875 - 0.25)
    slopes = [4 * c / np.sqrt(48) for c in (0.5, 2.0)]  # of the sum of four patches, each c x.mean()
    penalty = sum((s - 1) ** 2 for s in slopes)
    assert float(loss_d) == pytest.approx(critic + 3 * penalty + 2 * cls, rel=1e-5)


@pytest.mark.parametrize(("guard", "cyclic"), [(True, True), (False, True), (True, False)])
def test_objectives_of_generation_add_up_by_hand(guard, cyclic):
    """A critic of the content judges what was drawn, and its classifier what the transformers made of that; the cycle
    of pixels is of real images, that of features of all that the source and the transformers make."""
    net = Constants(classes=10)
    weights = Weights(2.0, 5.0, 7.0, 3.0, content_guard=guard, cyclic_encoder=cyclic)
    game = ModularGame(net, net, weights, ("hair", "smile"))
    x = jnp.stack([jnp.full((4, 4, 3), 1.0), jnp.full((4, 4, 3), -0.5)])
    batch = {"image": x, "values": jnp.array([[0, 1], [2, 0]]), "content": jnp.array([0, 1])}
    params = {"params": jnp.float32(1.0)}
    loss_g, (metrics, _) = game.g_loss({}, params, batch, jax.random.key(0))
    # f is 1 and 2 of the two samples, with a mean of 1.5; f_hair has 2.5, f_smile 4.5; images a quarter of them
    scores = 1.5 * 1.5 / 4 + 0.5 * 2.5 / 4 - 2.0 * 4.5 / 4
    cls = np.log(3) + np.log(2) + np.log(10) * (3 if guard else 1)
    image, features = (0.5 * (0.5 + 0.25), (1.5 + 2.5 + 4.5) / 2) if cyclic else (0.0, 0.0)
    assert float(metrics["cycle_features"]) == pytest.approx(features, rel=1e-6)
    assert float(loss_g) == pytest.approx(-scores + 2 * cls + 5 * image + 7 * features, rel=1e-5)
    loss_d, _ = game.d_loss(params, {}, batch, jax.random.key(0))
    critic = 1.5 * (1.5 / 4 - 0.25) + 0.5 * (2.5 / 4 - 0.25) - 2.0 * (4.5 / 4 - 0.25)
    penalty = sum((4 * c / np.sqrt(48) - 1) ** 2 for c in (1.5, 0.5, 2.0))
    cls = np.log(3) + np.log(2) + np.log(10)
    assert float(loss_d) == pytest.approx(critic + 3 * penalty + 2 * cls, rel=1e-5)


def test_the_critics_want_reals_above_fakes():
    assert float(wasserstein(jnp.full((2, 2, 2), 3.0), jnp.full((2, 2, 2), -1.0))) == -4.0
