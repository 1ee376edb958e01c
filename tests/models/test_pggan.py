"""PGGAN: the reference implementation's numbers, and growing: what is in use, what is faded, what follows by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.convert import pggan_genforce
from ganx.convert.keymap import Source, fill
from ganx.models import build_discriminator, build_generator, init_gan, make_gan
from ganx.models.growing import Lod, down_conv3, mean_down, nearest_up, tent, up_conv3
from ganx.models.growing_discriminator import _Block
from ganx.models.initialise import initialise
from ganx.models.layers import conv, lrelu
from ganx.models.pggan import PgganGenerator

SMALL = {"resolution": 16, "channel_base": 64, "channel_max": 8, "latent": 8}
SMALL_D = {"resolution": 16, "channel_base": 64, "channel_max": 8}


def close(ours, theirs, rtol=2e-5):
    theirs = np.asarray(theirs)
    assert np.abs(np.asarray(ours) - theirs).max() <= rtol * np.abs(theirs).max()


@pytest.fixture(scope="module")
def golden(shared):
    return dict(np.load(shared / "goldens" / "sefa" / "pggan_small.npz"))


@pytest.fixture(scope="module")
def source(golden):
    return Source({k.replace("/", "."): v for k, v in golden.items() if k[:2] in ("G/", "D/")})


@pytest.fixture(scope="module")
def reference(source):
    network = fill(pggan_genforce.generator(source, "G"), source.tensors)
    return make_gan("pggan", network.module, network.variables)


def test_images_equal_the_reference(reference, golden):
    close(jax.jit(lambda z: reference(z))(golden["z"]), golden["img"].transpose(0, 2, 3, 1))


def test_logits_equal_the_reference(source, golden):
    network = fill(pggan_genforce.discriminator(source, "D"), source.tensors)
    logits = jax.jit(network.module.apply)(network.variables, golden["img"].transpose(0, 2, 3, 1))
    close(logits, golden["logits"][:, 0], 1e-5)


def test_the_latent_enters_through_the_first_layer(reference, golden):
    """Its rows are the entries of the 4 x 4 map, so the Gram matrix that SeFa factorises is the reference's."""
    ours = reference.module.apply(reference.variables, method="style_matrices")["layer0"]
    theirs = np.moveaxis(golden["G/layer0.weight"], 1, -1).reshape(-1, 64)
    close(ours.T @ ours, theirs.T @ theirs)


@pytest.fixture(scope="module")
def gan():
    return init_gan("pggan", SMALL, jax.random.key(0))


@pytest.fixture(scope="module")
def z(gan):
    return gan.latents(jax.random.key(1), 4)


def test_stages_are_named_and_shaped_as_published(gan):
    assert gan.stages == ("layer0", "layer1", "layer2", "layer3", "layer4", "layer5", "rgb")
    assert [gan.shapes[s] for s in ("layer1", "layer2", "layer5", "rgb")] == [
        (4, 4, 8), (8, 8, 8), (16, 16, 4), (16, 16, 3)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def draw(gan):
    """`draw(z, level, fade)`: fade is traced, so that all fades of a level are one program."""
    faded = jax.jit(lambda z, fade, level: gan(z, lod=Lod(level, fade)), static_argnums=2)
    plain = jax.jit(lambda z, level: gan(z, lod=level), static_argnums=1)
    return lambda z, level, fade=None: plain(z, level) if fade is None else faded(z, fade, level)


def test_a_half_grown_image_is_the_blend(draw, z):
    new, old = draw(z, 1), draw(z, 2)
    assert (new.shape, old.shape) == ((4, 8, 8, 3), (4, 4, 4, 3))
    np.testing.assert_allclose(draw(z, 1, 0.3), 0.7 * new + 0.3 * nearest_up(old), atol=1e-5)


def test_the_fade_of_images_is_continuous_at_whole_levels(draw, z):
    np.testing.assert_allclose(draw(z, 1, 1.0), nearest_up(draw(z, 2)), atol=1e-5)
    np.testing.assert_allclose(draw(z, 1, 0.0), draw(z, 1), atol=1e-5)
    step = np.abs(draw(z, 1, 0.5001) - draw(z, 1, 0.5)).max()
    assert 0 < step < 1e-2


def test_a_number_says_the_same_as_level_and_fade(gan, draw, z):
    np.testing.assert_allclose(gan(z, lod=1.25), draw(z, 1, 0.25), atol=1e-5)


def test_layers_that_have_not_grown_pass_features_on_and_get_no_gradient(gan, z):
    at = gan.until("layer5", z, lod=1.5)
    assert (at.features == gan.until("layer3", z, lod=1.5).features).all()

    def loss(params):
        return jnp.square(gan.module.apply({"params": params}, z, lod=Lod(1, 0.5))).sum()

    grads = jax.jit(jax.grad(loss))(gan.variables["params"])
    used = {k: any(bool((g != 0).any()) for g in jax.tree.leaves(v)) for k, v in grads.items()}
    assert used == {f"layer{i}": i < 4 for i in range(6)} | {"rgb": True}
    assert [bool((grads["rgb"][r]["bias"] != 0).all()) for r in ("r4", "r8", "r16")] == [True, True, False]


def test_cutting_while_growing_equals_the_whole(gan, z):
    act = gan.until("layer2", z, lod=1.5)
    assert (gan.since("layer2", act) == gan(z, lod=1.5)).all()


def test_an_impossible_lod_is_refused(gan, z):
    for lod in (-0.5, 2.5, 3.0):
        with pytest.raises(GanxError, match=r"between 0 \(full\) and 2"):
            gan(z, lod=lod)
    with pytest.raises(GanxError, match="inside jit give Lod"):
        jax.jit(lambda lod: gan(z, lod=lod))(1.0)
    only_last = PgganGenerator((8, 8), growing=False, latent=8)
    with pytest.raises(GanxError, match="no image layers for smaller"):
        only_last.begin(z, lod=1.0)


@pytest.fixture(scope="module")
def critic():
    module = build_discriminator("pggan", SMALL_D)
    images = jax.random.normal(jax.random.key(3), (4, 16, 16, 3))
    variables = initialise(module.init, jax.random.key(2), images)
    return module, variables, images


@pytest.fixture(scope="module")
def judge(critic):
    module, variables, _ = critic
    faded = jax.jit(lambda x, fade, level: module.apply(variables, x, lod=Lod(level, fade)), static_argnums=2)
    plain = jax.jit(lambda x, level: module.apply(variables, x, lod=level), static_argnums=1)
    return lambda x, level, fade=None: plain(x, level) if fade is None else faded(x, fade, level)


def test_the_fade_of_logits_is_continuous_at_whole_levels(critic, judge):
    half = mean_down(critic[2])
    np.testing.assert_allclose(judge(half, 1, 1.0), judge(mean_down(half), 2), atol=1e-5)
    np.testing.assert_allclose(judge(half, 1, 0.0), judge(half, 1), atol=1e-5)
    assert (judge(half, 1, 0.5) != judge(half, 1)).any()


def test_a_half_grown_critic_mixes_the_features_of_both_sizes(critic):
    module, variables, images = critic
    _, seen = jax.jit(
        lambda x: module.apply(variables, x, lod=Lod(0, 0.3), capture_intermediates=True, mutable="intermediates")
    )(images)
    (new,), (after,) = (seen["intermediates"][name]["__call__"] for name in ("b16", "b8"))
    weights = variables["params"]["fromrgb"]["r8"]
    old = lrelu(conv(mean_down(images), weights["kernel"] * np.sqrt(2 / 3)) + weights["bias"], 1.0)
    block = {"params": variables["params"]["b8"]}
    np.testing.assert_allclose(_Block(8, "mean_last").apply(block, 0.7 * new + 0.3 * old), after, atol=1e-5)


def test_the_critic_wants_images_of_the_level(critic, judge):
    with pytest.raises(GanxError, match="reads 8 x 8 images, not 16"):
        judge(critic[2], 1)


def test_classes_join_the_latent_and_leave_by_the_head(z):
    module = build_generator("pggan", {**SMALL, "classes": 3})
    label = jnp.array([0, 1, 2, 1])
    features, _ = module.begin(z, label=label)
    np.testing.assert_array_equal(features, np.concatenate([z, np.eye(3)[label]], 1))
    with pytest.raises(GanxError, match="3 classes"):
        module.begin(z)
    critic = build_discriminator("pggan", {**SMALL_D, "classes": 3})
    images = jnp.zeros((4, 16, 16, 3))
    variables = jax.eval_shape(critic.init, jax.random.key(0), images, label=label)
    assert variables["params"]["b4"]["out"]["kernel"].shape == (8, 4)
    heads = jax.eval_shape(lambda v, x: critic.apply(v, x, method="outputs"), variables, images)
    assert heads.shape == (4, 4)


def test_fused_resampling_equals_the_two_steps():
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 3))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 4))
    np.testing.assert_allclose(up_conv3(x, kernel), conv(nearest_up(x), kernel), atol=1e-5)
    np.testing.assert_allclose(down_conv3(x, kernel), mean_down(conv(x, kernel)), atol=1e-5)
    spread = np.outer([1, 2, 1], [1, 2, 1]) / 16
    depthwise = jax.lax.conv_general_dilated(
        x, jnp.asarray(np.tile(spread[:, :, None, None], 3), jnp.float32), (1, 1), "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=3,
    )  # fmt: skip
    np.testing.assert_allclose(tent(x), depthwise, atol=1e-5)


def test_halving_before_or_after_the_leaky_relu_differ():
    """What the paper says and what the official networks do: one checkpoint must not be read as the other."""
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 4))
    variables = _Block(4, "mean_last").init(jax.random.key(1), x)
    first, last = (_Block(4, halving).apply(variables, x) for halving in ("mean_first", "mean_last"))
    assert np.abs(first - last).max() > 0.1


def test_bfloat16_stays_close(reference, golden):
    half = make_gan("pggan", reference.module.clone(dtype="bfloat16"), reference.variables)
    images, exact = jax.jit(lambda z: half(z))(golden["z"]), golden["img"].transpose(0, 2, 3, 1)
    assert images.dtype == jnp.float32
    assert 1e-4 < np.abs(images - exact).max() / np.abs(exact).max() < 0.02


@pytest.mark.parametrize("family", ["pggan", "stylegan"])
@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_a_network_without_channels_is_refused(family, part):
    build = {"generator": build_generator, "discriminator": build_discriminator}[part]
    with pytest.raises(GanxError, match="channel_base 8 and channel_max 4 leave no channels at 16 pixels"):
        build(family, {"resolution": 16, "channel_base": 8, "channel_max": 4})
