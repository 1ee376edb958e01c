"""Training steps: everything moves, what is frozen does not, one and eight devices agree."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganx import GanxError
from ganx.data.example import SourceSpec
from ganx.models import make_gan
from ganx.models.initialise import initialise
from ganx.models.modular import PREFIX
from ganx.modulargan.duel import Duel
from ganx.modulargan.extend import extension
from ganx.modulargan.method import method, trained
from ganx.modulargan.store import fingerprint, list_modules, merge, select
from ganx.store import load, save
from ganx.training.mesh import batched, make_mesh, replicated


def run(trainer, batch, steps, mesh=None):
    state = initialise(trainer.init, jax.random.key(0))
    if mesh is not None:
        state, batch = jax.device_put(state, replicated(mesh)), jax.device_put(batch, batched(mesh))
    step = jax.jit(lambda state, batch: trainer.step(state, batch, {})).lower(state, batch).compile()
    metrics = {}
    for _ in range(steps):
        state, metrics = step(state, batch)
    return state, metrics, step.cost_analysis()["flops"]


@pytest.fixture(scope="module")
def both(small, spec, batch):
    """The same three steps on one device and on eight.

    Adam divides by the size of a gradient: where that is all rounding (the middle of a kernel over a constant plane,
    under a norm) the default epsilon would turn noise into whole steps.
    """
    config = small("hair,smile")
    config.g.eps = config.d.eps = 1e-3
    mesh = make_mesh()
    one, eight = method(config, spec), method(config, spec, mesh)
    return one, run(one, batch, 3), run(eight, batch, 3, mesh)


def test_one_and_eight_devices_train_the_same(both):
    _, (one, metrics, _), (eight, others, _) = both
    for a, b in zip(jax.tree.leaves(one.g.params), jax.tree.leaves(eight.g.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for name in metrics:
        assert float(metrics[name]) == pytest.approx(float(others[name]), rel=1e-3, abs=1e-5), name


def test_the_work_is_shared_out(both):
    """Latents, targets or stacked features that forget their sharding make every device do the whole batch."""
    _, (*_, one), (*_, eight) = both
    assert eight <= 1.25 / 8 * one


def test_every_part_of_both_sides_moves(both):
    trainer, (state, metrics, _), _ = both
    fresh = initialise(trainer.init, jax.random.key(0))
    for now, before in ((state.g, fresh.g), (state.d, fresh.d)):
        for name, tree in now.params.items():
            assert fingerprint(tree) != fingerprint(before.params[name]), name
    assert all(np.isfinite(float(value)) for value in metrics.values())
    assert set(metrics) >= {"loss_g", "loss_d", "gap", "penalty", "cls_fake", "cycle_image", "cycle_features"}


def test_the_average_follows_the_modules(both):
    trainer, (state, *_), _ = both
    fresh = initialise(trainer.init, jax.random.key(0))
    kernel = lambda tree: tree["to_hair"]["mask"]["kernel"]  # noqa: E731
    moved, averaged = (kernel(p) - kernel(fresh.g.params) for p in (state.g.params, state.ema["params"]))
    assert 0 < float(jnp.abs(averaged).max()) < 0.01 * float(jnp.abs(moved).max())
    images = jax.jit(lambda state, key: trainer.sample(state, key, 4))(state, jax.random.key(1))
    assert images.shape == (4, 16, 16, 3)


@pytest.fixture(scope="module")
def saved(both, tmp_path_factory):
    """The trained GAN of two modules on disk."""
    trainer, (state, *_), _ = both
    path = tmp_path_factory.mktemp("gan") / "two"
    save(trainer.gan(state), path, trainer.critic(state))
    return path, trainer.gan(state)


def test_a_module_is_added_without_touching_the_others(config, spec, batch, saved, images):
    path, before = saved
    config.init, config.modulargan.attributes = str(path), "hair,smile,glasses"
    config.modulargan.train = "to_glasses"
    trainer = method(config, spec)
    fresh = initialise(trainer.init, jax.random.key(0))
    state = trainer.start(fresh)
    step = jax.jit(lambda state, batch: trainer.step(state, batch, {}))
    later, metrics = step(state, batch)
    assert float(metrics["cycle_image"]) == 0.0  # that loss belongs to encoder and reconstructor
    for name, tree in before.variables["params"].items():
        assert fingerprint(later.g.params[name]) == fingerprint(tree) == fingerprint(later.ema["params"][name])
    # its losses lie behind the frozen reconstructor, which must carry gradients all the same
    assert fingerprint(later.g.params["to_glasses"]) != fingerprint(state.g.params["to_glasses"])
    assert fingerprint(later.d.params["of_hair"]) == fingerprint(state.d.params["of_hair"])
    assert fingerprint(later.d.params["of_glasses"]) != fingerprint(state.d.params["of_glasses"])
    program = jnp.array([[1, 1]] * 4)
    wide = jnp.array([[1, 1, -1]] * 4)
    np.testing.assert_array_equal(before(images, program=program), trainer.gan(later)(images, program=wide))


def test_an_extension_trains_what_it_names_and_freezes_the_rest(saved):
    path, _ = saved
    config = extension(path, "glasses,smile", steps=7)
    assert config.modulargan.attributes == "hair,smile,glasses"
    assert config.modulargan.train == "to_glasses,to_smile"
    assert config.model.generator.width == 2
    assert (config.init, config.steps) == (str(path), 7)
    config = extension(path, "reconstructor")
    assert (config.modulargan.attributes, config.modulargan.train) == ("hair,smile", "reconstructor")
    with pytest.raises(GanxError, match="which modules"):
        extension(path, " ,")


def test_generation_trains_a_source_and_a_critic_of_the_content(config, batch):
    config.modulargan.attributes, config.modulargan.content = "smile", "hair"
    spec = SourceSpec("npz:x", (16, 16, 3), attrs={"hair": ("black", "blond", "brown"), "smile": ("no", "yes")})
    trainer = method(config, spec)
    before = jax.eval_shape(trainer.init, jax.random.key(0))
    assert {"source", "encoder", "to_smile", "reconstructor"} == set(before.g.params)
    assert {"of_content", "heads_content"} <= set(before.d.params)
    after, metrics = jax.eval_shape(lambda s, b: trainer.step(s, b, {}), before, batch)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), after) == jax.tree.map(lambda a: (a.shape, a.dtype), before)
    assert all(value.shape == () for value in metrics.values())
    sheet = jax.eval_shape(lambda s, k: trainer.sample(s, k, 6), before, jax.random.key(0))
    assert sheet.shape == (6, 16, 16, 3)


def test_which_parts_a_list_means(gan):
    module = gan.module
    critic = dataclasses.make_dataclass("Critic", [("shared", bool)])(False)
    assert trained(module, critic, "to_smile")[1:] == (["of_smile", "heads_smile"], ("smile",))
    assert trained(module, critic, "reconstructor")[1:] == (None, ("hair", "smile", "glasses"))
    assert trained(module, critic, "")[0] is None
    with pytest.raises(GanxError, match="did you mean 'to_smile'"):
        trained(module, critic, "to_simle")


def test_saved_modules_compose_like_those_in_memory(saved, images):
    path, gan = saved
    again = load(path)
    np.testing.assert_array_equal(
        again(images, program=jnp.array([[1, -1]] * 4)), gan(images, program=jnp.array([[1, -1]] * 4))
    )
    assert [m.name for m in list_modules(again)] == ["encoder", "to_hair", "to_smile", "reconstructor"]
    assert list_modules(again)[1].values == ("black", "blond", "brown")
    assert list_modules(again) == list_modules(gan)


def test_some_modules_of_a_gan_compose_as_in_the_whole(gan, images):
    some = select(gan, ("glasses", "hair"))
    assert [name for name, _ in some.module.attributes] == ["glasses", "hair"]
    assert "to_smile" not in some.variables["params"]
    np.testing.assert_array_equal(
        some(images, program=jnp.array([[-1, 2]] * 4)), gan(images, program=jnp.array([[2, -1, -1]] * 4))
    )
    with pytest.raises(GanxError, match="did you mean 'glasses'"):
        select(gan, ("glases",))
    with pytest.raises(GanxError, match="needs attributes"):
        select(gan, ())


def test_modules_merge_where_they_fit(gan, images):
    """Two GANs with one encoder and reconstructor and a transformer each become one."""
    params = gan.variables["params"]

    def only(name, **changes):
        module = dataclasses.replace(gan.module, attributes=tuple(a for a in gan.module.attributes if a[0] == name))
        kept = {k: v for k, v in params.items() if not k.startswith(PREFIX) or k == PREFIX + name}
        return make_gan("modular", module, {"params": {**kept, **changes}})

    both = merge(only("hair"), only("glasses"))
    assert [name for name, _ in both.module.attributes] == ["hair", "glasses"]
    got = both(images, program=jnp.array([[2, 1]] * 4))
    np.testing.assert_array_equal(got, gan(images, program=jnp.array([[2, -1, 1]] * 4)))
    other = only("glasses", encoder=jax.tree.map(lambda leaf: leaf + 1, params["encoder"]))
    with pytest.raises(GanxError, match="another encoder"):
        merge(only("hair"), other)
    assert len(merge(only("hair"), other, force=True).module.attributes) == 2
    with pytest.raises(GanxError, match="no module that this one lacks"):
        merge(gan, only("hair"))
    with pytest.raises(GanxError, match="no module named 'smle'"):
        merge(gan, gan, ("smle",))
    narrow = make_gan("modular", dataclasses.replace(gan.module, blocks=2), gan.variables)
    with pytest.raises(GanxError, match="blocks is 1 here and 2 there"):
        merge(only("hair"), narrow)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("modulargan.attributes", "hiar", "did you mean 'hair'"),
        ("modulargan.attributes", "", "choose from"),
        ("modulargan.targets", "swap", "other, any, permute"),
        ("modulargan.schedule", "cosine", "paper, released"),
        ("modulargan.grad_reduce", "max", "sum, mean"),
        ("modulargan.system", "pix2pix", "choose from"),
    ],
)
def test_bad_configurations_are_refused(config, spec, name, value, match):
    group, key = name.split(".")
    config[group][key] = value
    with pytest.raises(GanxError, match=match):
        method(config, spec)


def test_critics_see_every_part_of_the_batch_and_the_modules_the_last():
    seen = []

    def loss(own, other, batch, key):
        value = (own["params"]["w"] - batch["x"].mean()) ** 2
        return value, ({"loss": value, "x": batch["x"].mean()}, {})

    def critics(own, other, batch, key):
        value, (metrics, stats) = loss(own, other, batch, key)
        seen.append(batch["x"].shape)
        return value, ({"d": metrics["x"]}, stats)

    duel = Duel(loss, critics, optax.sgd(0.5), optax.sgd(0.5), batch=2, d_steps=3, decay=0.5)
    one = {"params": {"w": jnp.float32(10.0)}}
    state = duel.init(jax.random.key(0), one, one)
    state, metrics = duel.step(state, {"x": jnp.array([1.0, 1.0, 3.0, 3.0, 8.0, 8.0])})
    assert set(seen) == {(2,)}
    assert float(metrics["x"]) == float(metrics["d"]) == 8.0  # both end on the last part
    assert float(state.d.params["w"]) == 8.0
    assert float(state.ema["params"]["w"]) == 9.0  # half way from 10 to 8
