"""StyleGAN2: the reference implementation's numbers, stage by stage, and what the paper says of its parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.models import build_discriminator, build_generator, init_gan, make_gan, stylegan2

SMALL = {"resolution": 16, "channel_max": 8, "latent": 8, "style": 8, "mapping_layers": 2}


def dense(tensors, name, style=False):
    bias = tensors[f"{name}.bias"]
    return {"kernel": tensors[f"{name}.weight"].T, "bias": bias + 1 if style else bias}


def conv(tensors, name):
    return {"kernel": tensors[f"{name}.weight"].transpose(2, 3, 1, 0), "bias": tensors[f"{name}.bias"]}


def generator_variables(g, layers):
    """genforce's names to ours (methods spec, table 8.1)."""
    params = {"map": {f"fc{i}": dense(g, f"mapping.dense{i}") for i in range(4)}}
    noise = {}
    for i in range(layers - 1):
        name = f"synthesis.layer{i}"
        params[f"layer{i}"] = conv(g, name) | {
            "style": dense(g, f"{name}.style", style=True),
            "noise_strength": g[f"{name}.noise_strength"],
        }
        noise[f"layer{i}"] = {"noise": g[f"{name}.noise"][0, 0]}
    params["layer0"]["const"] = g["synthesis.early_layer.const"].transpose(0, 2, 3, 1)
    for i in range(layers // 2):
        name = f"synthesis.output{i}"
        params[f"rgb{i}"] = conv(g, name) | {"style": dense(g, f"{name}.style", style=True)}
    return {"params": params, "constants": noise, "averages": {"map": {"w_avg": g["truncation.w_avg"]}}}


def discriminator_variables(d):
    params = {"fromrgb": conv(d, "input0")}
    for j, r in enumerate((64, 32, 16, 8)):
        skip = {"kernel": d[f"skip_layer{j}.weight"].transpose(2, 3, 1, 0)}
        params[f"b{r}"] = {"conv0": conv(d, f"layer{2 * j}"), "conv1": conv(d, f"layer{2 * j + 1}"), "skip": skip}
    fc = dense(d, "layer9")
    width = len(fc["bias"])  # columns come flattened channel first
    fc["kernel"] = fc["kernel"].reshape(width, 4, 4, -1).transpose(1, 2, 0, 3).reshape(16 * width, -1)
    params["b4"] = {"conv": conv(d, "layer8"), "fc": fc, "out": dense(d, "layer10")}
    return {"params": params}


@pytest.fixture(scope="module")
def golden(shared):
    return dict(np.load(shared / "goldens" / "sefa" / "stylegan2_small.npz"))


@pytest.fixture(scope="module")
def reference(golden):
    module = build_generator(
        "stylegan2",
        {"resolution": 64, "latent": 64, "style": 64, "mapping_layers": 4, "channel_base": 2048, "channel_max": 64},
    )
    g = {k[2:]: jnp.asarray(v) for k, v in golden.items() if k.startswith("G/")}
    return make_gan("stylegan2", module, generator_variables(g, module.num_layers()))


def close(ours, theirs, rtol=2e-5):
    theirs = np.asarray(theirs)
    assert np.abs(np.asarray(ours) - theirs).max() <= rtol * np.abs(theirs).max()


def test_codes_and_images_equal_the_reference(reference, golden):
    z = jnp.asarray(golden["z"])
    close(reference.until("map", z).features, golden["wp"])
    close(reference(z), golden["img"].transpose(0, 2, 3, 1))


def test_truncated_image_equals_the_reference(reference, golden):
    act = reference.until("map", jnp.asarray(golden["z"]))
    images = reference.since("map", act.with_features(jnp.asarray(golden["code"])))
    close(images, golden["img_code"].transpose(0, 2, 3, 1))


def test_truncation_lands_on_the_reference_code(reference, golden):
    w_avg = np.asarray(golden["G/truncation.w_avg"])
    moved = golden["code"] - w_avg
    psi = np.sum(moved * (golden["wp"] - w_avg), (0, 2)) / np.sum((golden["wp"] - w_avg) ** 2, (0, 2))
    cutoff = int((psi < 0.999).sum())
    ours = reference.until("map", jnp.asarray(golden["z"]), psi=float(psi[0].round(4)), cutoff=cutoff)
    close(ours.features, golden["code"])


def test_styles_equal_the_reference(reference, golden):
    """Every layer's affine map, through the matrices that SeFa factorises."""
    matrices = reference.module.apply(reference.variables, method="style_matrices")
    assert list(matrices) == [f"layer{i}" for i in range(9)] + ["rgb4"]
    for i in range(9):
        params = reference.variables["params"][f"layer{i}"]["style"]
        styles = golden["wp"][:, i] @ matrices[f"layer{i}"].T / np.sqrt(64) + params["bias"]
        close(styles, golden[f"style/style{i:02d}"])


def test_logits_equal_the_reference(golden):
    module = build_discriminator("stylegan2", {"resolution": 64, "channel_base": 2048, "channel_max": 64})
    d = {k[2:]: jnp.asarray(v) for k, v in golden.items() if k.startswith("D/")}
    images = jnp.asarray(golden["img"].transpose(0, 2, 3, 1))
    close(module.apply(discriminator_variables(d), images), golden["logits"][:, 0], 1e-5)


def test_stages_are_named_and_shaped_as_published():
    module = stylegan2.generator(64)
    assert module.num_layers() == 10
    assert module.stage_names()[:6] == ("map", "layer0", "rgb0", "layer1", "layer2", "rgb1")
    assert module.stage_names()[-3:] == ("layer7", "layer8", "rgb4")
    gan = init_gan("stylegan2", SMALL, jax.random.key(0))
    assert gan.shapes["map"] == (6, 8)
    assert gan.shapes["layer4"] == (16, 16, 8)
    assert gan.shapes["rgb1"] == (8, 8, 3)


@pytest.fixture(scope="module")
def gan():
    gan = init_gan("stylegan2", SMALL, jax.random.key(0))
    params = jax.tree_util.tree_map_with_path(
        lambda path, x: x + 0.5 if path[-1].key == "noise_strength" else x, gan.variables["params"]
    )
    return make_gan("stylegan2", gan.module, {**gan.variables, "params": params})


def test_psi_zero_gives_everybody_the_average_face(gan):
    z = gan.latents(jax.random.key(1), 3)
    images = gan(z, psi=0.0)
    np.testing.assert_allclose(images[1:], images[:1].repeat(2, 0), atol=1e-5)
    assert (gan(z)[0] != gan(z)[1]).any()


def test_noise_is_constant_fresh_or_off(gan):
    z = gan.latents(jax.random.key(1), 2)
    one, two = (gan(z, noise=jax.random.key(seed)) for seed in (0, 1))
    off = gan(z, noise="none")
    assert all((a != b).any() for a, b in ((one, two), (one, off), (gan(z), off), (gan(z), one)))
    assert (gan(z) == gan(z, noise="const")).all()


def test_fresh_noise_of_a_sample_does_not_depend_on_its_batch(gan):
    """Each sample carries its own key, so that batches, shards and single samples draw alike."""
    z = gan.latents(jax.random.key(1), 4)
    act = gan.until("map", z, noise=jax.random.key(2))
    np.testing.assert_allclose(gan.since("map", act[2:3]), gan.since("map", act)[2:3], atol=1e-5)


def test_a_code_drives_its_own_layer_only(gan):
    """Changing code l leaves every stage before layer l as it was."""
    z = gan.latents(jax.random.key(1), 2)
    plain = gan.until("layer3", z).features
    late = gan.until("layer3", z, edits={"map": lambda ws: ws.at[:, 4:].add(1.0)}).features
    own = gan.until("layer3", z, edits={"map": lambda ws: ws.at[:, 3].add(1.0)}).features
    assert (late == plain).all()
    assert (own != plain).any()


def test_bfloat16_stays_close():
    fields = {**SMALL, "dtype": "bfloat16"}
    gan = init_gan("stylegan2", SMALL, jax.random.key(0))
    half = make_gan("stylegan2", build_generator("stylegan2", fields), gan.variables)
    z = gan.latents(jax.random.key(1), 2)
    whole, rough = gan(z), half(z)
    assert rough.dtype == jnp.float32
    error = float(jnp.abs(whole - rough).max() / jnp.abs(whole).max())
    assert 0 < error < 0.03
