"""The handle: cuts compose, edits run, trees behave, bad input is one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import ganx
from ganx.models import init_gan

FAMILIES = {
    "dcgan": ("dcgan", {"resolution": 16, "width": 4, "latent": 8}),
    "dcgan-uniform": ("dcgan", {"resolution": 8, "width": 4, "latent": 8, "prior": "uniform", "channels": 1}),
    "stylegan2": (
        "stylegan2",
        {"resolution": 16, "channel_max": 8, "latent": 8, "style": 8, "mapping_layers": 2},
    ),
}


@pytest.fixture(scope="module", params=FAMILIES)
def gan(request):
    family, options = FAMILIES[request.param]
    gan = init_gan(family, options, jax.random.key(0))
    # noise strengths and biases start at zero, which would hide mistakes
    leaves, tree = jax.tree.flatten(gan.variables)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    leaves = [leaf + 0.1 * jax.random.uniform(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    return ganx.Gan(gan.module, jax.tree.unflatten(tree, leaves), gan.spec)


@pytest.fixture(scope="module")
def z(gan):
    return gan.latents(jax.random.key(2), 4)


def test_image_shape_and_dtype(gan, z):
    images = gan(z)
    assert images.shape == (4, gan.spec.resolution, gan.spec.resolution, gan.spec.channels)
    assert images.dtype == jnp.float32
    assert images.std() > 0


def test_latents_follow_the_prior(gan):
    z = gan.latents(jax.random.key(3), 4000)
    want = 1 / np.sqrt(3) if gan.spec.prior == "uniform" else 1.0
    assert abs(float(z.std()) - want) < 0.02
    assert (float(abs(z).max()) <= 1) == (gan.spec.prior == "uniform")


def test_since_of_until_is_the_whole_bit_for_bit(gan, z):
    whole = gan(z)
    for stage in gan.stages:
        act = gan.until(stage, z)
        assert act.features.shape == (4, *gan.shapes[stage])
        assert (gan.since(stage, act) == whole).all(), stage


def test_since_of_until_under_one_jit_agrees_to_rounding(gan, z):
    whole = jax.jit(lambda gan, z: gan(z))(gan, z)
    stage = gan.stages[len(gan.stages) // 2]
    halves = jax.jit(lambda gan, z: gan.since(stage, gan.until(stage, z)))(gan, z)
    np.testing.assert_allclose(halves, whole, atol=2e-6 * float(abs(whole).max()) + 1e-7)


def test_an_edit_equals_changing_the_features_by_hand(gan, z):
    stage = gan.stages[1]
    edit = lambda x: x.at[:, 0].set(0.0)  # noqa: E731
    act = gan.until(stage, z)
    by_hand = gan.since(stage, act.with_features(edit(act.features)))
    assert (gan(z, edits={stage: edit}) == by_hand).all()
    assert (by_hand != gan(z)).any()


def test_an_edit_reaches_every_later_stage(gan, z):
    """For StyleGAN2 an edit of x after layer 2b must change both rgb b and the layers after it (spec 3.6)."""
    stage = gan.stages[1]
    edited = gan.until(gan.stages[-1], z, edits={stage: lambda x: x + 1.0})
    plain = gan.until(gan.stages[-1], z)
    changed = jax.tree.map(
        lambda a, b: bool((a != b).any()), (edited.features, edited.context), (plain.features, plain.context)
    )
    assert changed[0]
    assert changed[1].get("x", True)


def test_every_leaf_of_an_activation_has_the_sample_axis(gan, z):
    for stage in gan.stages:
        act = gan.until(stage, z)
        assert all(leaf.shape[0] == 4 for leaf in jax.tree.leaves(act))
        one = gan.since(stage, act[1:2])
        np.testing.assert_allclose(one, gan(z)[1:2], atol=1e-5)


def test_vmap_over_latents_is_the_batch(gan, z):
    one_by_one = jax.vmap(lambda z: gan(z[None])[0])(z)
    np.testing.assert_allclose(one_by_one, gan(z), atol=1e-5)


def test_gradients_flow_to_the_features(gan, z):
    stage = gan.stages[0]
    act = gan.until(stage, z)
    grad = jax.grad(lambda f: jnp.square(gan.since(stage, act.with_features(f))).sum())(act.features)
    assert grad.shape == act.features.shape
    assert jnp.isfinite(grad).all()
    assert (grad != 0).any()


def test_sharded_over_eight_devices_equals_one(gan):
    z = gan.latents(jax.random.key(4), 8)
    mesh = Mesh(np.array(jax.devices()), ("data",))
    sharded = jax.device_put(z, NamedSharding(mesh, PartitionSpec("data")))
    everywhere = jax.device_put(gan, NamedSharding(mesh, PartitionSpec()))
    images = jax.jit(lambda gan, z: gan(z))(everywhere, sharded)
    assert len(images.sharding.device_set) == 8
    np.testing.assert_allclose(images, jax.jit(lambda gan, z: gan(z))(gan, z), atol=1e-5)


def test_save_and_load_give_the_same_gan(gan, z, tmp_path):
    ganx.save(gan, tmp_path / "saved")
    again = ganx.load(tmp_path / "saved")
    assert again.spec == gan.spec
    assert again.module == gan.module
    assert (again(z) == gan(z)).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda gan, z: gan(z[:, :3]), "latents have shape [4, 3]"),
        (lambda gan, z: gan(z, colour=1), "does not take colour"),
        (lambda gan, z: gan([1, 2]), "latents have shape [2]"),
        (lambda gan, z: gan.until("s99", z), "no stage named 's99'"),
        (lambda gan, z: gan(z, edits={gan.stages[0]: 5}), "is 5; give a function"),
        (lambda gan, z: gan(z, edits={gan.stages[0]: lambda x: x[:2]}), "it has to keep their shape"),
        (lambda gan, z: gan(z, edits={"nowhere": lambda x: x}), "choose from: "),
        (lambda gan, z: gan.until(gan.stages[0], z, edits={gan.stages[1]: lambda x: x}), "would never run"),
        (lambda gan, z: gan.since(gan.stages[1], gan.until(gan.stages[0], z)), "was taken at"),
        (
            lambda gan, z: gan.since(gan.stages[0], gan.until(gan.stages[0], z).with_features(jnp.zeros((4, 1)))),
            "have shape",
        ),
    ],
)
def test_bad_input_is_one_line_that_names_what_exists(gan, z, call, words):
    with pytest.raises(ganx.GanxError) as info:
        call(gan, z)
    assert words in str(info.value)
    assert "\n" not in str(info.value)


def test_unknown_stage_names_those_that_exist(gan, z):
    with pytest.raises(ganx.GanxError, match=", ".join(gan.stages)):
        gan.until("nope", z)


def test_dcgan_goes_on_from_bare_features():
    family, options = FAMILIES["dcgan"]
    gan = init_gan(family, options, jax.random.key(0))
    z = gan.latents(jax.random.key(1), 2)
    assert (gan.since("s0", gan.until("s0", z).features) == gan(z)).all()
