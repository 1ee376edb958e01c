"""Starting from a trained GAN: the very same weights, fresh optimisers, and no other architecture."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

import ganx
from ganx.convert import import_checkpoint
from ganx.data import open_source
from ganx.models import FAMILIES, build_discriminator, init_discriminator, init_gan
from ganx.models.initialise import initialise
from ganx.store import load_discriminator, load_live
from ganx.training import default_config
from ganx.training.adversarial import adversarial
from ganx.training.loop import train
from ganx.training.mesh import make_mesh


@pytest.fixture(autouse=True)
def family(monkeypatch):
    monkeypatch.setitem(FAMILIES, "toy", toy.FAMILY)


@pytest.fixture
def saved(tmp_path):
    """A conditional GAN with a discriminator, and live weights that are not the averaged ones."""
    gan = init_gan("toy", {"latent": 5, "classes": 3}, jax.random.key(3))
    critic = build_discriminator("toy", {"classes": 3})
    variables = initialise(lambda key: init_discriminator(critic, key, (8, 8, 3)), jax.random.key(4))
    live = jax.tree.map(lambda leaf: leaf + 0.25, gan.variables)
    ganx.save(gan, tmp_path / "gan", (critic, variables), live)
    return gan, live, variables, str(tmp_path / "gan")


@pytest.fixture
def config(pictures, saved):
    config = default_config()
    config.data.source = pictures
    config.model.family, config.model.conditional, config.init = "toy", True, saved[-1]
    config.batch, config.steps, config.samples = 16, 2, 4
    config.sample_every = config.checkpoint_every = 0
    config.g.lr = config.d.lr = 1e-3
    return config


def method_of(config):
    return adversarial(config, open_source(config.data.source).spec)


def test_training_starts_from_exactly_these_weights(config, saved):
    gan, live, critic, _ = saved
    method = method_of(config)
    state = method.start(initialise(method.init, jax.random.key(0)))
    chex.assert_trees_all_equal(state.g.params, live["params"])
    chex.assert_trees_all_equal(state.ema, gan.variables)
    chex.assert_trees_all_equal(state.d.variables, critic)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves((state.g.opt, state.d.opt)))
    assert method.gan(state).module == gan.module  # the saved latent size, though the configuration names none


def test_a_tuned_run_trains_and_can_be_tuned_again(config, saved, tmp_path):
    run = train(config, tmp_path / "tuned", make_mesh(jax.devices()[:1]))
    assert run.step == 2
    gan, live = ganx.load(run.workdir), load_live(run.workdir)
    steps = jax.tree.map(lambda new, old: float(abs(new - old).max()), live["params"], saved[1]["params"])
    assert 0 < max(jax.tree.leaves(steps)) <= 2.2e-3  # two steps of Adam from where it began
    config.init = str(run.workdir)
    method = method_of(config)
    state = method.start(initialise(method.init, jax.random.key(1)))
    chex.assert_trees_all_equal(state.g.params, live["params"])
    chex.assert_trees_all_equal(state.ema, gan.variables)
    chex.assert_trees_all_equal(state.d.variables, load_discriminator(run.workdir)[1])


def test_without_live_weights_or_a_discriminator_the_average_has_to_do(config, tmp_path):
    gan = init_gan("toy", {"classes": 3}, jax.random.key(5))
    ganx.save(gan, tmp_path / "alone")
    config.init = str(tmp_path / "alone")
    method = method_of(config)
    state = method.start(initialise(method.init, jax.random.key(0)))
    chex.assert_trees_all_equal((state.g.params, state.ema), (gan.variables["params"], gan.variables))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model.family": "dcgan", "model.conditional": False}, "holds a toy, not a dcgan"),
        ({"model.generator": {"latent": 7}}, "the generator of .* has latent=5, this run wants 7"),
        ({"model.conditional": False}, "has classes=3, this run wants 0"),
        ({"data.source": "world:digits?size=8"}, "has classes=3, this run wants 10"),
        ({"data.source": "world:digits?size=16"}, "has resolution=8, this run wants 16"),
        ({"init": "nowhere"}, "no GAN named"),
    ],
)
def test_another_architecture_is_refused_by_its_first_field(config, change, words):
    with config.unlocked():
        config.update_from_flattened_dict(change)
    with pytest.raises(ganx.GanxError, match=words) as info:
        method_of(config)
    assert "\n" not in str(info.value)


def test_a_dcgan_is_compared_through_its_builder(config, tmp_path):
    """Its options are not its fields: width 4 leads to other blocks than width 8."""
    ganx.save(init_gan("dcgan", {"resolution": 8, "width": 8, "latent": 4}, jax.random.key(0)), tmp_path / "dcgan")
    config.init, config.model.family, config.model.conditional = str(tmp_path / "dcgan"), "dcgan", False
    with config.unlocked():
        config.model.generator = {"width": 8, "latent": 4}
        assert method_of(config).start is not None
        config.model.generator = {"width": 4, "latent": 4}
    with pytest.raises(ganx.GanxError, match="has blocks="):
        method_of(config)


def test_precision_is_the_configuration_s_and_no_part_of_the_architecture(config, tmp_path):
    """The published configurations of StyleGAN2-ADA halve it at four resolutions; what is imported is in float32."""
    sizes = {"resolution": 8, "channel_base": 64, "channel_max": 8, "latent": 8, "style": 8, "conv_clamp": 256.0}
    gan = init_gan("stylegan2", sizes, jax.random.key(0))
    critic = build_discriminator("stylegan2", {k: v for k, v in sizes.items() if k not in ("latent", "style")})
    variables = initialise(lambda key: init_discriminator(critic, key, (8, 8, 3)), jax.random.key(1))
    ganx.save(gan, tmp_path / "imported", (critic, variables))
    config.init, config.model.family, config.model.conditional = str(tmp_path / "imported"), "stylegan2", False
    with config.unlocked():
        networks = {"channel_base": 64, "channel_max": 8, "half_res": 1, "half_dtype": "float16", "conv_clamp": 256.0}
        config.model.generator, config.model.discriminator = {**networks, "latent": 8, "style": 8}, networks
    method = method_of(config)
    shapes = jax.eval_shape(method.init, jax.random.key(0))
    started = method.gan(method.start(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), keyless(shapes)))).module
    assert (started.half_res, started.half_dtype) == (1, "float16")
    assert started.clone(half_res=0, half_dtype=gan.module.half_dtype) == gan.module


def keyless(state):
    return dataclasses.replace(state, key=jax.ShapeDtypeStruct((), jnp.int32))


def test_the_public_face_gan_is_tuned_from_where_it_was(shared, tmp_path):
    folder = shared / "data" / "face-dcgan32"
    import_checkpoint(folder / "generator.npz", "dcgan", folder / "discriminator.npz").save(tmp_path / "faces")
    config = default_config()
    config.data.source = "world:faces?size=32"
    config.init = str(tmp_path / "faces")
    config.batch, config.steps, config.samples, config.sample_every = 4, 2, 4, 0
    method = method_of(config)
    fresh = keyless(jax.eval_shape(method.init, jax.random.key(0)))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), fresh)  # drawing real ones would take a while
    state = method.start(zeros)
    chex.assert_trees_all_equal(state.ema, ganx.load(tmp_path / "faces").variables)
    chex.assert_trees_all_equal(state.d.variables, load_discriminator(tmp_path / "faces")[1])
    assert np.isfinite(method.sample(state, jax.random.key(0), 2)).all()
