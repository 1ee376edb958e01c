"""StyleGAN2: what the papers say of its parts. Reference numbers: tests/convert/test_import_stylegan2.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.models import build_discriminator, build_generator, init_gan, layers, make_gan, stylegan2
from ganx.models.initialise import initialise
from ganx.models.stylegan2_layers import dtype_at

SMALL = {"resolution": 16, "channel_max": 8, "latent": 8, "style": 8, "mapping_layers": 2}


def louder(variables):
    """Fresh variables with noise that is heard."""
    params = jax.tree_util.tree_map_with_path(
        lambda path, x: x + 0.5 if path[-1].key == "noise_strength" else x, variables["params"]
    )
    return {**variables, "params": params}


def drawn(module, *inputs, **labels):
    """A module's output on fresh variables, and those, in one program."""

    def run(key):
        variables = louder(initialise(module.init, key, *inputs, **labels))
        return module.apply(variables, *inputs, **labels), variables

    return jax.jit(run)(jax.random.key(0))


def test_stages_are_named_and_shaped_as_published():
    module = stylegan2.generator(64)
    assert module.num_layers() == 10
    assert module.stage_names()[:6] == ("map", "layer0", "rgb0", "layer1", "layer2", "rgb1")
    assert module.stage_names()[-3:] == ("layer7", "layer8", "rgb4")
    gan = init_gan("stylegan2", SMALL, jax.random.key(0))
    assert gan.shapes["map"] == (6, 8)
    assert gan.shapes["layer4"] == (16, 16, 8)
    assert gan.shapes["rgb1"] == (8, 8, 3)


@pytest.mark.parametrize("architecture", ["orig", "resnet"])
def test_other_architectures_have_one_image_and_the_same_style_matrices(architecture):
    module = stylegan2.generator(16, **{k: v for k, v in SMALL.items() if k != "resolution"}, architecture=architecture)
    assert module.stage_names() == ("map", *(f"layer{i}" for i in range(5)), "rgb2")
    z = jax.random.normal(jax.random.key(1), (2, 8))
    image, variables = drawn(module, z)
    assert image.shape == (2, 16, 16, 3)
    assert ("skip" in variables["params"]["layer4"]) == (architecture == "resnet")
    matrices = module.apply(variables, method="style_matrices")
    assert list(matrices) == [f"layer{i}" for i in range(5)] + ["rgb2"]
    gan = make_gan("stylegan2", module, variables)
    act = gan.until("layer1", z)
    np.testing.assert_array_equal(gan.since("layer1", act), gan(z))
    assert (gan.since("layer1", act.with_features(act.features + 1)) != gan(z)).any()


def test_a_residual_block_adds_the_filtered_input():
    """With its convolutions silenced, what is left is the shortcut, at its share of the variance."""
    fields = {k: v for k, v in SMALL.items() if k != "resolution"}
    module = stylegan2.generator(8, **fields, architecture="resnet")
    z = jax.random.normal(jax.random.key(1), (2, 8))
    _, variables = drawn(module, z)
    silent = {**variables["params"]["layer2"], "kernel": jnp.zeros((3, 3, 8, 8)), "noise_strength": jnp.zeros(())}
    gan = make_gan("stylegan2", module, {**variables, "params": {**variables["params"], "layer2": silent}})
    entering, leaving = gan.until("layer0", z).features, gan.until("layer2", z).features
    skip = jnp.einsum("nhwi,io->nhwo", entering, silent["skip"]["kernel"][0, 0]) / np.sqrt(8)
    np.testing.assert_allclose(leaving, layers.fir_up(skip) * np.sqrt(0.5), atol=1e-5)


@pytest.fixture(scope="module")
def gan():
    gan = init_gan("stylegan2", SMALL, jax.random.key(0))
    return make_gan("stylegan2", gan.module, louder(gan.variables))


@pytest.fixture(scope="module")
def z(gan):
    return gan.latents(jax.random.key(1), 2)


@pytest.fixture(scope="module")
def plain(gan, z):
    return gan(z)


def test_psi_zero_gives_everybody_the_average_face(gan, z, plain):
    images = gan(z, psi=0.0)
    np.testing.assert_allclose(images[1], images[0], atol=1e-5)
    assert (plain[0] != plain[1]).any()


def test_noise_is_constant_fresh_or_off(gan, z, plain):
    one, two = (gan(z, noise=jax.random.key(seed)) for seed in (0, 1))
    off = gan(z, noise="none")
    assert all((a != b).any() for a, b in ((one, two), (one, off), (plain, off), (plain, one)))
    assert (plain == gan(z, noise="const")).all()


def test_noise_of_a_layer_can_be_given(gan, z, plain):
    stored = gan.variables["constants"]["layer3"]["noise"]
    given = gan(z, noise={"layer3": jnp.stack([stored, stored + 1])})
    np.testing.assert_allclose(given[0], plain[0], atol=1e-6)
    assert (given[1] != plain[1]).any()
    with pytest.raises(GanxError, match="layer3 is \\[n, 16, 16\\]"):
        gan(z, noise={"layer3": stored[:8]})
    with pytest.raises(GanxError, match="layer9"):
        gan(z, noise={"layer9": stored})


def test_fresh_noise_of_a_sample_does_not_depend_on_its_batch(gan, z):
    """Each sample carries its own key, so that batches, shards and single samples draw alike."""
    act = gan.until("map", z, noise=jax.random.key(2))
    np.testing.assert_allclose(gan.since("map", act[1:]), gan.since("map", act)[1:], atol=1e-5)


def test_a_code_drives_its_own_layer_only(gan, z):
    """Changing code l leaves every stage before layer l as it was."""
    before = gan.until("layer3", z).features
    late = gan.until("layer3", z, edits={"map": lambda ws: ws.at[:, 4:].add(1.0)}).features
    own = gan.until("layer3", z, edits={"map": lambda ws: ws.at[:, 3].add(1.0)}).features
    assert (late == before).all()
    assert (own != before).any()


def test_the_one_of_the_styles_may_stand_apart(gan, z, plain):
    """As in checkpoints that store style biases without it."""
    params = jax.tree_util.tree_map_with_path(
        lambda path, x: x - 1 if [p.key for p in path[1:]] == ["style", "bias"] else x, gan.variables["params"]
    )
    module = build_generator("stylegan2", {**SMALL, "style_offset": 1.0})
    np.testing.assert_allclose(make_gan("stylegan2", module, {**gan.variables, "params": params})(z), plain, atol=1e-5)
    fresh = jax.eval_shape(module.init, jax.random.key(0), z)
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, gan.variables)


def test_no_layer_exceeds_the_clamp(gan, z):
    module = build_generator("stylegan2", {**SMALL, "conv_clamp": 0.5})
    clamped = make_gan("stylegan2", module, gan.variables)
    assert jnp.abs(gan.until("layer4", z).features).max() > 0.5
    assert jnp.abs(clamped.until("layer4", z).features).max() == 0.5


@pytest.mark.parametrize("fields", [{"dtype": "bfloat16"}, {"half_res": 2}, {"half_res": 2, "half_dtype": "float16"}])
def test_half_precision_stays_close(gan, z, plain, fields):
    half = make_gan("stylegan2", build_generator("stylegan2", {**SMALL, **fields}), gan.variables)
    rough = half(z)
    assert rough.dtype == jnp.float32
    error = float(jnp.abs(plain - rough).max() / jnp.abs(plain).max())
    assert 0 < error < (2e-3 if "float16" in fields.values() else 0.02)


def test_half_precision_is_for_the_highest_resolutions():
    assert [dtype_at(r, 64, "float32", 2, "float16") for r in (4, 8, 16, 32, 64)] == ["float32"] * 3 + ["float16"] * 2
    assert [dtype_at(r, 16, "float32", 9, "float16") for r in (4, 8, 16)] == ["float32", "float16", "float16"]
    assert {dtype_at(r, 16, "bfloat16", 0, "float16") for r in (4, 8, 16)} == {"bfloat16"}


def test_prenormalised_kernels_demodulate_to_the_same_convolution():
    x, kernel, styles = (
        jax.random.normal(jax.random.key(i), s) for i, s in enumerate([(2, 8, 8, 4), (3, 3, 4, 5), (2, 4)])
    )
    kernel, styles = 1e3 * kernel, 1e3 * styles
    small, quiet = stylegan2.prenormalised(kernel, styles)
    assert jnp.abs(small).max() <= 1 / 6 + 1e-6  # 1 / sqrt(fan in)
    assert jnp.abs(quiet).max() == 1
    want = layers.modulated_conv(x, kernel, styles)
    np.testing.assert_allclose(layers.modulated_conv(x, small, quiet), want, atol=2e-6 * float(jnp.abs(want).max()))


LABELS = jnp.array([0, 1, 2, 0])


@pytest.mark.parametrize("embedding", ["separate", "joint"])
def test_a_class_moves_the_codes(embedding):
    module = build_generator("stylegan2", {**SMALL, "classes": 3, "embedding": embedding, "latent": 6})
    z = jnp.ones((4, 6))
    gan = init_gan("stylegan2", {**SMALL, "classes": 3, "embedding": embedding, "latent": 6}, jax.random.key(0))
    assert gan.spec.classes == 3
    params = gan.variables["params"]["map"]
    assert params["fc0"]["kernel"].shape == ((14 if embedding == "separate" else 12), 8)
    ws = gan.until("map", z, label=LABELS).features
    np.testing.assert_array_equal(ws[0], ws[3])
    assert (ws[0] != ws[1]).any()
    with pytest.raises(GanxError, match="conditioned on 3 classes"):
        module.apply(gan.variables, z, method="begin")
    with pytest.raises(GanxError, match="one class number for each"):
        module.apply(gan.variables, z, label=LABELS[:2], method="begin")


def test_labels_without_classes_are_refused(gan, z):
    with pytest.raises(GanxError, match="not conditioned"):
        gan.module.apply(gan.variables, z, label=LABELS[:2], method="begin")


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(3), (4, 16, 16, 3), minval=-1.0)


NETWORK = {"resolution": 16, "channel_max": 8}


def test_a_discriminator_with_a_logit_for_each_class_gives_the_one_asked_for(images):
    module = build_discriminator("stylegan2", {**NETWORK, "classes": 3, "conditioning": "pick"})
    logits, variables = drawn(module, images, label=LABELS)
    assert logits.shape == (4,)
    out = variables["params"]["b4"]["out"]
    assert out["kernel"].shape == (8, 3)
    raised = jax.tree.map(lambda x: x, variables)
    raised["params"]["b4"]["out"] = {**out, "bias": out["bias"] + jnp.array([0.0, 1.0, 2.0])}
    again = jax.jit(module.apply)(raised, images, label=LABELS)
    np.testing.assert_allclose(again - logits, LABELS, atol=1e-5)


@pytest.mark.parametrize("architecture", ["orig", "skip", "resnet"])
def test_every_architecture_projects_on_the_class(images, architecture):
    fields = {"architecture": architecture, "classes": 3, "cmap_layers": 1, "half_res": 2, "conv_clamp": 256.0}
    module = build_discriminator("stylegan2", {**NETWORK, **fields})
    logits, variables = drawn(module, images, label=LABELS)
    assert logits.dtype == jnp.float32
    assert ("skip" in variables["params"]["b16"]) == (architecture == "resnet")
    assert ("fromrgb8" in variables["params"]) == (architecture == "skip")
    assert (logits != jax.jit(module.apply)(variables, images, label=LABELS[::-1])).any()
    with pytest.raises(GanxError, match="conditioned on 3 classes"):
        jax.eval_shape(module.apply, variables, images)


def test_groups_of_the_minibatch_deviation(images):
    """The logit of an image depends on its group alone; groups are strided."""
    pairs = build_discriminator("stylegan2", {**NETWORK, "group": 2, "group_channels": 2})
    logits, variables = drawn(pairs, images)
    assert variables["params"]["b4"]["conv"]["kernel"].shape == (3, 3, 10, 8)
    other = images.at[1].set(0.0)
    same = np.isclose(jax.jit(pairs.apply)(variables, other), logits, atol=1e-6)
    assert same.tolist() == [True, False, True, False]
    whole = build_discriminator("stylegan2", {**NETWORK, "group": 0, "group_channels": 2})
    judge = jax.jit(whole.apply)
    assert not np.isclose(judge(variables, other), judge(variables, images), atol=1e-6).any()
    with pytest.raises(GanxError, match="groups of 2, which do not divide 3 images"):
        jax.eval_shape(pairs.apply, variables, images[:3])


@pytest.mark.parametrize(
    ("part", "options", "said"),
    [
        ("generator", {"resolution": 24}, "power of two"),
        ("generator", {"architecture": "unet"}, "skip, orig, resnet"),
        ("generator", {"embedding": "sum"}, "separate, joint"),
        ("generator", {"widths": (8, 8)}, "2 entries for 5 resolutions"),
        ("generator", {"channel_base": 32}, "no channels at 64 pixels"),
        ("discriminator", {"half_dtype": "float8"}, "half_dtype"),
        ("discriminator", {"conditioning": "acgan"}, "projection, pick"),
    ],
)
def test_what_no_stylegan2_is_made_of_is_refused(part, options, said):
    build = {"generator": build_generator, "discriminator": build_discriminator}[part]
    with pytest.raises(GanxError, match=said):
        build("stylegan2", options)
