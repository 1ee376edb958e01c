"""Cutting, inverting and optimising: what must hold for any generator, on ones small enough to compile in a moment."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from etils import epath
from golden_chain import random_chain
from small_inverter import FlatInverse, small_inverter, step

from ganx import GanxError
from ganx.models import init_gan
from ganx.models.encoders import ImageInverse, LayerInverse
from ganx.seeing import session
from ganx.seeing.chain import cut, default_cut, forward
from ganx.seeing.descent import Schedule, descend, lbfgs
from ganx.seeing.evaluate import believed, inversion_report, measures, trustworthy
from ganx.seeing.inverter import Inverter, init, modules_for
from ganx.seeing.keeping import Keeper
from ganx.seeing.losses import clamped, correlation, cosine_error
from ganx.seeing.methods import METHODS, InvertOptions, draw, invert
from ganx.seeing.relax import Relaxation, prepare
from ganx.seeing.training import FitOptions, fit, start
from ganx.training.mesh import make_mesh

PGGAN = {"resolution": 16, "channel_base": 64, "channel_max": 8, "latent": 8}


@pytest.fixture(scope="module")
def gan():
    return init_gan("pggan", PGGAN, jax.random.key(0))


@pytest.fixture(scope="module")
def chain(gan):
    return cut(gan, "layer1")


@pytest.fixture(scope="module")
def one():
    return make_mesh(jax.devices()[:1])


def test_a_cut_generator_is_the_generator(gan):
    chain = cut(gan, "layer3")
    assert chain.cuts == ("layer0", "layer1", "layer2", "layer3")
    z = gan.latents(jax.random.key(1), 2)
    acts, images = jax.jit(forward)(chain, z)
    np.testing.assert_allclose(images, gan(z), atol=1e-5)
    np.testing.assert_allclose(acts[3].features, gan.until("layer2", z).features, atol=1e-5)


def test_a_cut_falls_where_features_are_few(gan):
    assert default_cut(gan) == "layer1"  # 128 numbers against 768; the next map has 512
    assert cut(gan).ratio == pytest.approx(128 / 768)
    styled = init_gan("stylegan2", {"resolution": 16, "channel_max": 8, "latent": 8, "style": 8}, jax.random.key(0))
    assert not any(name.startswith("rgb") for name in cut(styled).cuts)
    with pytest.raises(GanxError, match="layer0"):
        cut(gan, "layr0")
    with pytest.raises(GanxError, match="running order"):
        cut(gan, cuts=("layer2", "layer1"))


def test_e_f_is_resnet_18():
    """11.44 million parameters for 256 pixels and 8 x 8 x 512 features, as in the released code; e_4 has 4.98."""
    shapes = jax.eval_shape(ImageInverse((8, 8, 512)).init, jax.random.key(0), jnp.zeros((1, 256, 256, 3)))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
    assert count == pytest.approx(11.44e6, rel=1e-3)
    shapes = jax.eval_shape(LayerInverse((8, 8, 512)).init, jax.random.key(0), jnp.zeros((1, 8, 8, 512)))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == pytest.approx(4.98e6, rel=2e-3)


OPTIONS = FitOptions(steps=60, joint_steps=0, batch=16, lr=2e-2, lr_image=1e-2, distance="cosine", hidden=32)


@pytest.fixture(scope="module")
def layered(chain):
    """Inverses after some steps, and their losses at the start and at the end."""
    inverter = small_inverter(chain, OPTIONS.hidden)
    state, log = start("layers", inverter, OPTIONS), []
    for i in range(OPTIONS.steps):
        z = chain.gan.latents(jax.random.fold_in(jax.random.key(5), i), OPTIONS.batch)
        state, metrics = step(chain, inverter.modules, state, z, "layers", OPTIONS)
        log.append(metrics)
    return dataclasses.replace(inverter, variables=state.variables), log[0], log[-1]


def test_every_layers_loss_falls_at_once(layered):
    _, first, last = layered
    for name in ("left1", "left2"):
        assert last[name] < 0.25 * first[name]
    assert last["image"] < first["image"]


def alone(chain, module, variables, i, last, codes, rate, edges):
    """One inverse trained by itself, written out: its own loss, its own Adam, its own falling rate."""
    solver = optax.adam(lambda count: rate * 0.1 ** sum((count >= edge) * 1.0 for edge in edges))
    params, stats = variables["params"], variables.get("batch_stats", {})
    memory = solver.init(params)

    def loss(params, stats, z):
        acts, images = forward(chain, z)
        given, wanted = (images, acts[-1]) if last else (acts[i + 1].features, acts[i])
        found, new = module.apply({"params": params, "batch_stats": stats}, given, train=True, mutable=["batch_stats"])
        if last:
            return jnp.square(found - wanted.features).mean(), new.get("batch_stats", {})
        right = cosine_error(given, chain.step(i, wanted.with_features(found)).features)
        return cosine_error(wanted.features, found) + 0.01 * right, new["batch_stats"]

    slope = jax.jit(jax.grad(loss, has_aux=True))
    for z in codes:
        gradient, stats = slope(params, stats, z)
        updates, memory = solver.update(gradient, memory, params)
        params = optax.apply_updates(params, updates)
    return params


def test_training_at_once_is_training_each_alone():
    """Four steps in float64, the rate falling after two: the same parameters to 1e-10."""
    options = FitOptions(steps=10, lr=1e-2, lr_image=1e-2, distance="cosine")
    with jax.enable_x64(True):
        chain = random_chain(np.random.default_rng(0))
        modules = (LayerInverse((1, 1, 4), unit=True), LayerInverse((4, 4, 4)), FlatInverse((4, 4, 4)))
        inputs = [(2, 4, 4, 4), (2, 4, 4, 4), (2, 8, 8, 3)]
        keys = jax.random.split(jax.random.key(0), 3)
        variables = tuple(
            {"batch_stats": {}, **jax.jit(functools.partial(module.init, train=True))(key, jnp.zeros(shape))}
            for module, key, shape in zip(modules, keys, inputs, strict=True)
        )
        codes = [jnp.asarray(np.random.default_rng(i).normal(size=(8, 4))) for i in range(4)]
        state = start("layers", Inverter(modules, variables), options)
        for z in codes:
            state, _ = step(chain, modules, state, z, "layers", options)
        for i, module in enumerate(modules):
            edges = () if i == 2 else (2, 6)
            apart = alone(chain, module, variables[i], i, i == 2, codes, 1e-2, edges)
            moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), apart, variables[i]["params"])
            assert max(jax.tree.leaves(moved)) > 1e-3
            for tree in (together := state.variables[i]["params"], apart):
                for name in ("conv1", "conv2"):  # a bias before a batch norm has no gradient but what rounding leaves
                    tree.get(name, {}).pop("bias", None)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), together, apart)


@pytest.fixture(scope="module")
def inverted(chain, layered, one):
    """The generator's own images, and what methods a to f make of them."""
    z = chain.gan.latents(jax.random.key(9), 3)
    images = jnp.clip(chain.gan(z), -1, 1)
    settings = {"steps": 60, "lr": 0.05, "starts": 1}
    found = {
        method: invert(
            chain, images, InvertOptions(method, **settings), layered[0], layered[0], key=jax.random.key(2), mesh=one
        )
        for method in METHODS
    }
    return z, np.asarray(images), found


def test_methods_end_in_their_order(inverted):
    """f reconstructs best, then e, then d (Bau et al. 2019, fig. 6); optimising never makes it worse."""
    _, images, found = inverted
    loss = {method: float(np.abs(images - x.images).mean()) for method, x in found.items()}
    assert loss["f"] < loss["e"] <= loss["d"]
    for x in found.values():
        assert (x.last <= x.first + 1e-6).all()
        assert np.abs(x.images).max() <= 1
    report = inversion_report(images, found["f"])
    assert report["pixels"] > inversion_report(images, found["d"])["pixels"]
    assert not trustworthy({"pixels": 0.999, "features": 0.9})


def test_images_on_many_devices_are_images_alone(chain, layered, one):
    """Few updates: with absolute errors and Adam, float32 trajectories part from rounding alone after some tens."""
    images = jnp.clip(chain.gan(chain.gan.latents(jax.random.key(4), 3)), -1, 1)
    options = InvertOptions("f", 3)
    spread = invert(chain, images, options, layered[0])  # eight devices, one image each, the rest filled up
    alone = invert(chain, images, options, layered[0], mesh=one)
    np.testing.assert_allclose(spread.images, alone.images, atol=2e-3)
    np.testing.assert_allclose(spread.last, alone.last, rtol=1e-3)


def test_a_heavy_penalty_leaves_the_encoders_image(chain, layered, one, inverted):
    _, images, found = inverted
    held = invert(chain, images, InvertOptions("f", 60, lr=0.05, strength=1e12), layered[0], mesh=one)
    assert all((delta == 0).all() for delta in held.deltas.values())
    np.testing.assert_allclose(held.images, found["d"].images, atol=1e-6)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Valley:
    """Rosenbrock's, one for each image."""

    def __call__(self, x, data):
        return jnp.square(1 - x[:, 0]) + data * jnp.square(x[:, 1] - jnp.square(x[:, 0]))


def test_lbfgs_finds_each_images_own_valley():
    x, data = jnp.array([[-1.2, 1.0], [0.5, 2.0]]), jnp.array([100.0, 3.0])
    found = lbfgs(Valley(), x, data, 40)
    np.testing.assert_allclose(found.variable, 1, atol=1e-2)
    assert (found.last < 1e-4).all()
    alone = lbfgs(Valley(), x[:1], data[:1], 40)
    np.testing.assert_allclose(alone.variable[0], found.variable[0], atol=1e-4)


def test_images_together_are_each_alone():
    """A whole trajectory to 1e-9, in float64."""
    with jax.enable_x64(True):
        chain = random_chain(np.random.default_rng(0))
        rng = np.random.default_rng(1)
        images, z = jnp.asarray(rng.uniform(-1, 1, (3, 8, 8, 3))), jnp.asarray(rng.normal(size=(3, 4)))
        objective, schedule = Relaxation(chain, None), Schedule(10, 0.05, (3, 6), "last")
        start = {"layer1": jnp.zeros((3, 4, 4, 4))}
        together = descend(objective, start, prepare(images, None, z), schedule)
        for i in range(3):
            part = slice(i, i + 1)
            lone = {"layer1": start["layer1"][part]}
            alone = descend(objective, lone, prepare(images[part], None, z[part]), schedule)
            found = together.variable["layer1"][part]
            np.testing.assert_allclose(alone.variable["layer1"], found, rtol=1e-9, atol=1e-12)


def test_clipping_passes_gradients_where_asked():
    slope = lambda clamp: jax.grad(lambda x: clamped(x, clamp).sum())(jnp.array([0.5, 3.0]))  # noqa: E731
    np.testing.assert_array_equal(slope("straight"), [1, 1])
    np.testing.assert_array_equal(slope("hard"), [1, 0])
    np.testing.assert_array_equal(clamped(jnp.array([3.0]), "straight"), [1.0])


def test_correlation_is_pearsons():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 7))
    assert correlation(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert correlation(a, 3 - 2 * a) == pytest.approx(-1)


def test_photographs_are_believed_if_the_gans_own_pictures_are_found_again(chain):
    """Measured apart, and the verdict is that of the samples, whose codes and features are known."""
    z = np.asarray(chain.gan.latents(jax.random.key(3), 3))
    truth = draw(chain, z)
    images, own = np.concatenate([truth.images[:2], -truth.images[2:]]), np.array([True, True, False])
    found = measures(images, truth, own, truth)
    assert found["samples"]["pixels"] == pytest.approx(1)
    assert found["samples"]["code"] == pytest.approx(1)
    assert found["photographs"]["pixels"] == pytest.approx(-1)
    assert found["trustworthy"]
    assert "can be believed" in believed(found)
    poor = dataclasses.replace(truth, features=truth.features[::-1])
    assert "too badly" in believed(measures(images, poor, own, truth))
    assert "not known" in believed(measures(images, truth, np.zeros(3, bool), None))


def test_an_inverter_comes_back_from_its_folder(tmp_path, chain):
    modules = modules_for(chain, width=2)
    shapes = jax.eval_shape(lambda key: init(modules, chain, key), jax.random.key(0))
    found = Inverter(modules, jax.tree.map(lambda s: np.random.default_rng(0).normal(size=s.shape).astype("f"), shapes))
    found.save(tmp_path / "inverter")
    again = Inverter.load(tmp_path / "inverter", chain)
    assert again.modules == found.modules
    jax.tree.map(np.testing.assert_array_equal, again.variables, found.variables)
    with pytest.raises(GanxError, match="other shapes or cuts"):
        Inverter.load(tmp_path / "inverter", dataclasses.replace(chain, cuts=("layer0",)))


def test_training_goes_on_from_what_was_kept(tmp_path):
    keeper = Keeper.at(tmp_path)
    keeper.keep("layers", (jnp.arange(3.0), jnp.int32(4)), 4, True)
    keeper.keep("layers", (jnp.arange(3.0) + 1, jnp.int32(9)), 9, True)
    state, step = Keeper.at(tmp_path).newest("layers", (jnp.zeros(3), jnp.int32(0)))
    assert step == 9
    np.testing.assert_array_equal(state[0], [1, 2, 3])
    assert keeper.newest("joint", "fresh") == ("fresh", 0)


def test_what_does_not_fit_is_refused(chain, one):
    images = np.zeros((1, 16, 16, 3), np.float32)
    with pytest.raises(GanxError, match="layer-wise"):
        invert(chain, images, InvertOptions("f"), mesh=one)
    with pytest.raises(GanxError, match="directly"):
        invert(chain, images, InvertOptions("b"), mesh=one)
    with pytest.raises(GanxError, match="no method"):
        invert(chain, images, InvertOptions("g"), mesh=one)
    with pytest.raises(GanxError, match="no optimiser"):
        invert(chain, images, InvertOptions("a", code_optimiser="sgd"), mesh=one)
    with pytest.raises(GanxError, match="from 0 up"):
        invert(chain, images, InvertOptions("a", -1), mesh=one)
    with pytest.raises(GanxError, match="16, 16, 3"):
        invert(chain, images[:, :8], InvertOptions("a"), mesh=one)
    with pytest.raises(GanxError, match="does not divide"):
        fit(chain, jax.random.key(0), FitOptions(1, 1, batch=3))


def test_an_interrupted_run_does_no_picture_twice(tmp_path, chain, layered, monkeypatch):
    images = np.asarray(jnp.clip(chain.gan(chain.gan.latents(jax.random.key(4), 9)), -1, 1))
    given = (InvertOptions("d", batch=1), {"layered": layered[0]}, None, None, jax.random.key(0))
    first = session.invert_all(epath.Path(tmp_path), chain, images, *given)
    assert len(list((tmp_path / "parts").iterdir())) == 2  # eight devices, one image each
    monkeypatch.setattr(session, "invert", None)
    again = session.invert_all(epath.Path(tmp_path), chain, images, *given)
    np.testing.assert_array_equal(again.images, first.images)
    with pytest.raises(GanxError, match="other pictures"):
        session.invert_all(epath.Path(tmp_path), chain, images[::-1], *given)
