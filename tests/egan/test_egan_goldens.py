"""Losses, one Adam step, D's gradient, fitness and selection of the authors' formulas, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden_nets import GoldenPlayers, discriminator, flat, generator

from ganx.data.worlds.gaussians import Gaussians
from ganx.egan import points
from ganx.egan.fitness import evaluate, fake_half, real_half, survivors
from ganx.egan.generation import Generation
from ganx.egan.mapping import Mapping
from ganx.training import penalties
from ganx.training.losses import LOSSES
from ganx.training.state import new_net

LOSS = LOSSES["non_saturating"]
G_ORDER = ("w0", "b0", "w1", "b1", "w2", "b2")
# name in the file, ours, and which of a parent's latents the child has
CHILDREN = (
    ("minimax", "minimax", 0),
    ("heuristic", "heuristic", 1),
    ("least_squares_prob", "least_squares", 2),
    ("least_squares_logit", "least_squares_logit", 2),
)
NAMES = tuple(name for _, name, _ in CHILDREN)
NETS = {"plain": None, "bn1e-5": 1e-5, "bn1e-4": 1e-4}


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "goldens/egan/egan_formulas_f64.npz") as file:
        return dict(file)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def _generation(players, **changes):
    lr, b1, b2, eps = (5e-2, 0.5, 0.999, 1e-8)
    fixed = {"map": Mapping(), "averaging": None, "batch": 8, "d_steps": 1, "gp_weight": 0.0, "gp_on": "logit"}
    fixed |= {"fake_labels": "uniform", "parents": 1, "mutations": NAMES, "gamma": 0.0, "evaluation": 16}
    fixed |= {"selection": "fitness", "variation": "independent", "founders": "distinct", "d_fakes": "survivors"}
    fixed |= {"variation_noise": "independent", "eval_noise": "independent"}
    adam = optax.adam(lr, b1, b2, eps)
    return Generation(players, LOSS, adam, adam, **{**fixed, **changes})


@pytest.mark.parametrize("nets", NETS)
@pytest.mark.parametrize("parent", [0, 1])
@pytest.mark.parametrize(("name", "ours", "z"), CHILDREN, ids=NAMES)
def test_a_child_and_its_fitness(golden, nets, parent, name, ours, z):
    at = f"{nets}/p{parent}/{name}"
    players = GoldenPlayers((golden["z_train"][parent, z], golden["z_eval"][parent, z]), NETS[nets])
    generation = _generation(players)
    np.testing.assert_allclose(golden["adam"], (5e-2, 0.5, 0.999, 1e-8))
    params = generator(golden, parent)
    d = new_net({"params": discriminator(golden, NETS[nets] is not None)}, generation.d_opt)
    which = jnp.array(NAMES.index(ours))

    child, value = generation.mutate(players, new_net({"params": params}, generation.g_opt), which, d, None, None)
    np.testing.assert_allclose(value, golden[f"{at}/loss_code"], rtol=0, atol=1e-10)
    first_moment = flat(child.opt[0].mu, G_ORDER) / 0.5  # after one step from zero: (1 - b1) gradient
    np.testing.assert_allclose(first_moment, golden[f"{at}/grad_flat"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(flat(child.params, G_ORDER), golden[f"{at}/child_flat_torch_optax"], rtol=0, atol=1e-8)

    real = jnp.asarray(golden["x_eval"])
    fake, _ = players.fakes(child.params, {}, None, 16)
    order = ("w0", "b0", "w1", "w2", "b2", "scale", "bias") if NETS[nets] else G_ORDER
    ours_real = real_half(players, d, LOSS, real, None)
    ours_fake, logits = fake_half(players, d, LOSS, fake, None)
    np.testing.assert_allclose(flat(ours_real, order), golden[f"{at}/d_grad_real_flat"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(flat(ours_fake, order), golden[f"{at}/d_grad_fake_flat"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(logits, golden[f"{at}/eval_logit_fake"][:, 0], rtol=0, atol=1e-8)
    d_loss = LOSS.discriminator(players.judge(d.params, {}, real).logits, logits)
    np.testing.assert_allclose(d_loss, golden[f"{at}/d_loss_real_fake_total"][2], rtol=0, atol=1e-8)
    fitness = evaluate(players, d, LOSS, ours_real, fake, None, gamma=2.0)
    np.testing.assert_allclose(fitness.quality, golden[f"{at}/Fq"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(fitness.diversity, golden[f"{at}/Fd"], rtol=0, atol=1e-8)
    beta_form = fitness.quality - 1.0 * golden[f"{at}/theano_log_sumsq"]  # their beta 1 is our gamma 2
    np.testing.assert_allclose(fitness.total, beta_form, rtol=0, atol=1e-8)


@pytest.mark.parametrize("nets", NETS)
@pytest.mark.parametrize("form", ["prob", "logit"])
def test_selection(golden, nets, form):
    table = f"{nets}/table_least_squares_{form}"
    for gamma in (0.0, 0.002, 0.004, 0.01, 0.05, 0.1, 1.0, 2.0):
        total = golden[f"{table}/Fq"] + gamma * golden[f"{table}/Fd"]
        np.testing.assert_allclose(total, golden[f"{table}/F_gamma{gamma}"], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(survivors(jnp.asarray(total.ravel()), 2), golden[f"{table}/top2_gamma{gamma}"])
        assert survivors(jnp.asarray(total[0]), 1)[0] == golden[f"{table}/best_of_p0_gamma{gamma}"]


@pytest.mark.parametrize(("form", "on"), [("torch", "logit"), ("theano", "probability")])
def test_gradient_penalty(golden, form, on):
    players = GoldenPlayers((), None)
    generation = _generation(players, gp_on=on)
    params = discriminator(golden, False)
    real, fake, alpha = (jnp.asarray(golden[k]) for k in ("x_train", "gp/fake", "gp/alpha"))
    mix = 1 - alpha if form == "torch" else alpha  # a real + (1 - a) fake there
    slopes = {}

    def keep(g):
        slopes["norm"] = jnp.linalg.norm(g, axis=1)
        return penalties.wgan_gp(g)

    critic = generation.critic_of_penalty({}, None)
    value = penalties.gradient_penalty(critic, keep, params, real + mix * (fake - real))
    np.testing.assert_allclose(slopes["norm"], golden[f"gp/{form}/slopes"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(value, golden[f"gp/{form}/penalty"], rtol=2e-6)  # both guard the root differently


def test_toy_metrics(golden):
    world = Gaussians(modes=8)
    apart = np.linalg.norm(golden["toy/centers8"][:, None] - world.centres, axis=-1)
    assert apart.min(1).max() < 1e-6  # the same modes, in another order
    seen = points.coverage(world, golden["toy/samples"], golden["toy/real"])
    np.testing.assert_array_equal(seen.counts[apart.argmin(1)], golden["toy/mode_counts_3sd"])
    assert seen.quality == pytest.approx(float(golden["toy/hq_fraction_3sd"]))
    assert seen.divergence == pytest.approx(float(golden["toy/jsd_nats_uniform"]), abs=1e-12)
    assert seen.mmd == pytest.approx(float(golden["toy/mmd2_unbiased_mediancross"]), abs=1e-12)
