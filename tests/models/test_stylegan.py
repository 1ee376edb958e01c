"""StyleGAN: the reference implementation's numbers, its conditions, and what the paper says of its parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.convert import stylegan_genforce
from ganx.convert.keymap import Source, fill
from ganx.models import build_discriminator, build_generator, init_gan, make_gan
from ganx.models.growing import Lod, nearest_up
from ganx.models.initialise import initialise
from ganx.models.stylegan import adain

SMALL = {"resolution": 16, "channel_base": 64, "channel_max": 8, "latent": 8, "style": 8, "mapping_layers": 2}


def close(ours, theirs, rtol=5e-5):
    theirs = np.asarray(theirs)
    assert np.abs(np.asarray(ours) - theirs).max() <= rtol * np.abs(theirs).max()


@pytest.fixture(scope="module")
def golden(shared):
    return dict(np.load(shared / "goldens" / "sefa" / "stylegan_small.npz"))


@pytest.fixture(scope="module")
def source(golden):
    return Source({k.replace("/", "."): v for k, v in golden.items() if k[:2] in ("G/", "D/")})


@pytest.fixture(scope="module")
def reference(source):
    network = fill(stylegan_genforce.generator(source, "G"), source.tensors)
    return make_gan("stylegan", network.module, network.variables)


@pytest.fixture(scope="module")
def synthesise(reference):
    return jax.jit(lambda codes: reference.since("map", codes))


def test_codes_equal_the_reference(reference, golden):
    close(reference.until("map", golden["z"]).features, golden["wp"], 1e-6)


def test_images_equal_the_reference(synthesise, golden):
    close(synthesise(golden["wp"]), golden["img"].transpose(0, 2, 3, 1))


def test_truncated_images_equal_the_reference(synthesise, golden):
    close(synthesise(golden["code"]), golden["img_code"].transpose(0, 2, 3, 1))


def test_truncation_lands_on_the_reference_code(reference, golden):
    w_avg = golden["G/truncation.w_avg"]
    moved = golden["code"] - w_avg
    psi = np.sum(moved * (golden["wp"] - w_avg), (0, 2)) / np.sum((golden["wp"] - w_avg) ** 2, (0, 2))
    cutoff = int((psi < 0.999).sum())
    ours = reference.until("map", golden["z"], psi=float(psi[0].round(4)), cutoff=cutoff)
    close(ours.features, golden["code"])


def test_styles_equal_the_reference(reference, golden):
    """Every layer's affine map, through the matrices that SeFa factorises."""
    matrices = reference.module.apply(reference.variables, method="style_matrices")
    assert list(matrices) == [f"layer{i}" for i in range(12)]
    for i, (name, matrix) in enumerate(matrices.items()):
        bias = reference.variables["params"][name]["style"]["bias"]
        close(golden["wp"][:, i] @ matrix.T / np.sqrt(32) + bias, golden[f"style/style{i:02d}"], 2e-6)


def test_logits_equal_the_reference(source, golden):
    network = fill(stylegan_genforce.discriminator(source, "D"), source.tensors)
    logits = jax.jit(network.module.apply)(network.variables, golden["img"].transpose(0, 2, 3, 1))
    close(logits, golden["logits"][:, 0], 1e-5)


def test_bfloat16_stays_close(reference, golden):
    half = make_gan("stylegan", reference.module.clone(dtype="bfloat16"), reference.variables)
    images, exact = jax.jit(lambda codes: half.since("map", codes))(golden["wp"]), golden["img"].transpose(0, 2, 3, 1)
    assert images.dtype == jnp.float32
    assert 1e-4 < np.abs(images - exact).max() / np.abs(exact).max() < 0.03


@pytest.fixture(scope="module")
def gan():
    gan = init_gan("stylegan", SMALL, jax.random.key(0))
    params = jax.tree_util.tree_map_with_path(
        lambda path, x: x + 0.5 if path[-1].key == "noise_strength" else x, gan.variables["params"]
    )
    return make_gan("stylegan", gan.module, {**gan.variables, "params": params})


@pytest.fixture(scope="module")
def z(gan):
    return gan.latents(jax.random.key(1), 3)


def test_stages_are_named_and_shaped_as_published(gan):
    assert gan.stages == ("map", *(f"layer{i}" for i in range(6)), "rgb")
    assert [gan.shapes[s] for s in ("map", "layer1", "layer4", "rgb")] == [
        (6, 8), (4, 4, 8), (16, 16, 4), (16, 16, 3)
    ]  # fmt: skip


def test_psi_zero_gives_everybody_the_average_face(gan, z):
    images = gan(z, psi=0.0)
    np.testing.assert_allclose(images[1:], images[:1].repeat(2, 0), atol=1e-5)
    assert (gan(z)[0] != gan(z)[1]).any()


def test_noise_is_constant_fresh_or_off(gan, z):
    one, two = (gan(z, noise=jax.random.key(seed)) for seed in (0, 1))
    off = gan(z, noise="none")
    assert all((a != b).any() for a, b in ((one, two), (one, off), (gan(z), off), (gan(z), one)))
    assert (gan(z) == gan(z, noise="const")).all()
    with pytest.raises(GanxError, match="noise is"):
        gan(z, noise="loud")


def test_fresh_noise_of_a_sample_does_not_depend_on_its_batch(gan, z):
    act = gan.until("map", z, noise=jax.random.key(2))
    np.testing.assert_allclose(gan.since("map", act[1:2]), gan.since("map", act)[1:2], atol=1e-5)


def test_a_code_drives_its_own_layer_only(gan, z):
    plain = gan.until("layer3", z).features
    late = gan.until("layer3", z, edits={"map": lambda ws: ws.at[:, 4:].add(1.0)}).features
    own = gan.until("layer3", z, edits={"map": lambda ws: ws.at[:, 3].add(1.0)}).features
    assert (late == plain).all()
    assert (own != plain).any()


def test_adain_gives_every_map_the_mean_and_deviation_of_its_style():
    x = 3 + 5 * jax.random.normal(jax.random.key(0), (2, 8, 8, 4))
    style = jax.random.normal(jax.random.key(1), (2, 8))
    y = adain(x, style)
    np.testing.assert_allclose(y.mean((1, 2)), style[:, 4:], atol=1e-5)
    np.testing.assert_allclose(y.std((1, 2)), np.abs(1 + style[:, :4]), atol=1e-5)


def test_a_half_grown_image_is_the_blend_and_continuous(gan, z):
    draw = jax.jit(lambda z, fade: gan(z, lod=Lod(1, fade), noise="none"))
    new, old = (gan(z, lod=level, noise="none") for level in (1, 2))
    np.testing.assert_allclose(draw(z, 0.25), 0.75 * new + 0.25 * nearest_up(old), atol=1e-5)
    np.testing.assert_allclose(draw(z, 1.0), nearest_up(old), atol=1e-5)
    np.testing.assert_allclose(draw(z, 0.0), new, atol=1e-5)


def test_the_mean_code_follows_training(gan, z):
    features, context = gan.module.begin(z)
    _, new = gan.module.apply(
        gan.variables, ("map",), features, context, train=True, method="run", mutable=["averages"]
    )
    w = gan.until("map", z).features[:, 0]
    np.testing.assert_allclose(new["averages"]["map"]["w_avg"], 0.005 * w.mean(0), atol=1e-6)


def test_a_class_changes_the_code_and_picks_its_logit(z):
    module = build_generator("stylegan", {**SMALL, "classes": 3})
    conditional = init_gan("stylegan", {**SMALL, "classes": 3}, jax.random.key(0))
    codes = [conditional.until("map", z, label=jnp.full(3, c)).features for c in (0, 1)]
    assert (codes[0] != codes[1]).any()
    assert conditional.module == module
    critic = build_discriminator("stylegan", {"resolution": 8, "channel_max": 8, "classes": 3})
    images = jax.random.normal(jax.random.key(3), (3, 8, 8, 3))
    variables = initialise(critic.init, jax.random.key(4), images, label=jnp.zeros(3, jnp.int32))
    judge = jax.jit(lambda label: critic.apply(variables, images, label=label))
    apart = np.stack([judge(jnp.full(3, c)) for c in range(3)], 1)
    label = jnp.array([2, 0, 1])
    np.testing.assert_allclose(judge(label), apart[np.arange(3), label], atol=1e-6)
    with pytest.raises(GanxError, match="3 classes"):
        critic.apply(variables, images)
