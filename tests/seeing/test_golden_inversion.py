"""Against the released PyTorch code on a tiny Progressive generator: encoders, their losses, optimised trajectories."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_chain import golden_chain, hwio, nhwc

from ganx.models import layers
from ganx.models.encoders import LayerInverse
from ganx.seeing.chain import forward
from ganx.seeing.descent import Schedule, descend
from ganx.seeing.losses import cosine_error
from ganx.seeing.relax import Relaxation, prepare


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "goldens" / "seeing" / "inversion.npz")


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def chain(golden):
    return golden_chain(golden)


def encoder(golden, name, projects):
    module = LayerInverse((4, 4, 16), projects=projects)
    params, stats = {}, {}
    for i in (1, 2):
        conv, norm = f"{name}|conv{i}", f"{name}|bn{i}"
        params[f"conv{i}"] = {
            "kernel": hwio(golden[f"{conv}.weight"]),
            "bias": jnp.asarray(golden[f"{conv}.bias"], float),
        }
        params[f"norm{i}"] = {
            k: jnp.asarray(golden[f"{norm}.{t}"], float) for k, t in (("scale", "weight"), ("bias", "bias"))
        }
        stats[f"norm{i}"] = {k: jnp.asarray(golden[f"{norm}.running_{k}"], float) for k in ("mean", "var")}
    if projects:
        params["project"] = {
            "kernel": hwio(golden[f"{name}|conv3.weight"]),
            "bias": jnp.asarray(golden[f"{name}|conv3.bias"], float),
        }
    return module, {"params": params, "batch_stats": stats}


def test_parts_pass_on_what_the_reference_passes_on(chain, golden):
    acts, images = jax.jit(forward)(chain, jnp.asarray(golden["z"]))
    for act, name in zip(acts[1:], chain.cuts, strict=True):
        np.testing.assert_allclose(act.features, nhwc(golden[f"act|{name}"]), atol=1e-10)
    np.testing.assert_allclose(jnp.clip(images, -1, 1), nhwc(golden["act|output_32x32"]), atol=1e-10)


@pytest.mark.parametrize(("name", "projects", "taken"), [("e3", True, "layer3"), ("e2", False, "layer2")])
def test_layer_inverses_in_use(golden, name, projects, taken):
    module, variables = encoder(golden, name, projects)
    found = module.apply(variables, nhwc(golden[f"act|{taken}"]))
    np.testing.assert_allclose(found, nhwc(golden[f"{name}|eval_out"]), atol=1e-9)


def test_a_layer_inverse_in_training(chain, golden):
    """Output, left and right loss, their sum with weight 0.01, and its gradient."""
    module, variables = encoder(golden, "e3", True)
    before, after = nhwc(golden["act|layer2"]), nhwc(golden["act|layer3"])

    def losses(params):
        found, _ = module.apply({**variables, "params": params}, after, train=True, mutable=["batch_stats"])
        left, right = cosine_error(before, found), cosine_error(after, chain.layer("layer3", found))
        return left + 0.01 * right, (found, left, right)

    (total, (found, left, right)), slope = jax.jit(jax.value_and_grad(losses, has_aux=True))(variables["params"])
    np.testing.assert_allclose(found, nhwc(golden["e3|train_out"]), atol=1e-9)
    np.testing.assert_allclose([left, right, total], golden["e3|loss"], rtol=1e-9)
    for ours, theirs in (("conv1", "conv1"), ("conv2", "conv2"), ("project", "conv3")):
        want = golden[f"e3|grad|{theirs}.weight"].transpose(2, 3, 1, 0)
        np.testing.assert_allclose(slope[ours]["kernel"], want, rtol=1e-5, atol=1e-9)
    for i in (1, 2):
        np.testing.assert_allclose(slope[f"norm{i}"]["scale"], golden[f"e3|grad|bn{i}.weight"], rtol=1e-5, atol=1e-9)


def two_convolutions(weights, images):
    x = jax.nn.relu(layers.conv(images, weights[0]) + weights[1])
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return jax.nn.relu(layers.conv(x, weights[2]) + weights[3])


@pytest.mark.parametrize("kind", ["pix", "feat"])
def test_an_optimised_trajectory(chain, golden, kind):
    """40 updates in float64, the learning rate halved at 15, 25 and 35."""
    net = [hwio(golden["feat|0.weight"]), golden["feat|0.bias"], hwio(golden["feat|3.weight"]), golden["feat|3.bias"]]
    features = jax.tree_util.Partial(two_convolutions, [jnp.asarray(w, float) for w in net]) if kind == "feat" else None
    data = prepare(nhwc(golden["target"]), features, jnp.asarray(golden["z"][:1]))
    start = {name: jnp.zeros((1, *golden[f"act|{name}"].transpose(0, 2, 3, 1).shape[1:])) for name in chain.cuts[:3]}
    schedule = Schedule(40, 0.01, (15, 25, 35), "last")
    found = descend(Relaxation(chain, features, 1.0, "hard"), start, data, schedule)
    log = golden[f"opt_{kind}|log"][:, 0]
    np.testing.assert_allclose(found.log[:, 0], log[:-1], rtol=1e-9)
    np.testing.assert_allclose(found.last, log[-1:], rtol=1e-9)
    for i, name in enumerate(chain.cuts[:3], 1):
        np.testing.assert_allclose(found.variable[name], nhwc(golden[f"opt_{kind}|d{i}"]), atol=1e-8)


def test_cosine_error_of_codes(golden):
    z = jnp.asarray(golden["z"])
    assert float(cosine_error(z, 3 * z)) == pytest.approx(0, abs=1e-12)
    assert float(cosine_error(z, -z)) == pytest.approx(2)
