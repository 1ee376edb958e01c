"""StyleGAN2 checkpoints: the reference implementations' numbers, and every tensor both ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stylegan2_files import bring, gives_back, golden_source

from ganx import GanxError
from ganx.convert import stylegan2_genforce, stylegan2_nvlabs
from ganx.convert.keymap import Source
from ganx.models import make_gan
from ganx.training import penalties


def close(ours, theirs, rtol=2e-5):
    theirs = np.asarray(theirs)
    assert np.abs(np.asarray(ours) - theirs).max() <= rtol * np.abs(theirs).max()


def nhwc(images):
    return jnp.asarray(images.transpose(0, 2, 3, 1))


# -- NVIDIA's PyTorch code, five classes -------------------------------------------------------------------


@pytest.fixture(scope="module")
def ada_file(shared):
    return dict(np.load(shared / "goldens" / "sefa" / "nv_sg2ada_c5_small.npz"))


@pytest.fixture(scope="module")
def ada(ada_file):
    return bring(stylegan2_nvlabs, golden_source(ada_file, "G_ema", "D"))


@pytest.fixture(scope="module")
def ada_label(ada_file):
    return jnp.asarray(ada_file["io/c"].argmax(1), jnp.int32)


@pytest.fixture(scope="module")
def ada_gan(ada):
    (network, _), _ = ada
    return make_gan("stylegan2", *network)


def test_the_architecture_is_read_off_the_shapes(ada):
    (g, d), _ = ada
    assert (g.module.resolution, g.module.latent, g.module.classes, g.module.mapping_layers) == (32, 64, 5, 3)
    assert (g.module.channel_base, g.module.channel_max, g.module.architecture) == (1024, 64, "skip")
    assert (d.module.classes, d.module.cmap_layers, d.module.group_channels) == (5, 8, 1)


def test_nvlabs_codes_and_images(ada_gan, ada_file, ada_label):
    z = jnp.asarray(ada_file["io/z"])
    close(ada_gan.until("map", z, label=ada_label).features, ada_file["io/ws"], 1e-6)
    truncated = ada_gan.until("map", z, label=ada_label, psi=0.5, cutoff=4).features
    close(truncated, ada_file["io/wst"], 1e-6)
    close(ada_gan(z, label=ada_label), nhwc(ada_file["io/img"]))
    close(ada_gan(z, label=ada_label, noise="none"), nhwc(ada_file["io/imgn"]))


def test_nvlabs_logits_and_r1(ada, ada_file, ada_label):
    (_, d), _ = ada

    @jax.jit
    def judge(variables, x):
        logits, pull = jax.vjp(lambda x: d.module.apply(variables, x, label=ada_label), x)
        slope = pull(jnp.ones(len(x)))[0]
        return logits, slope, penalties.r1(slope)

    logits, slope, penalty = judge(d.variables, nhwc(ada_file["io/img"]))
    close(logits, ada_file["io/logits"][:, 0], 1e-5)
    close(slope, nhwc(ada_file["r1/grad"]), 1e-5)
    close(2 * penalty, ada_file["r1/penalty_per_sample"].mean(), 1e-5)


def test_nvlabs_path_length(ada, ada_file, ada_label):
    (g, _), _ = ada
    stages, rest = g.module.stage_names()[1:], {k: v for k, v in g.variables.items() if k != "params"}

    def images(params, ws):
        _, context = g.module.apply(g.variables, jnp.zeros((4, 64)), label=ada_label, method="begin")
        context = {k: v for k, v in context.items() if k not in ("psi", "label")}
        return g.module.apply({"params": params, **rest}, stages, ws, context, method="run")[0]

    @jax.jit
    def regularise(params, ws, noise):
        slope = jax.grad(lambda ws: (images(params, ws) * noise / 32).sum())(ws)
        return slope, penalties.path_length(images, lambda _: ws, params, noise, jnp.zeros(()))[0]

    noise, ws = nhwc(ada_file["pl/noise"]), jnp.asarray(ada_file["io/ws"])
    slope, (penalty, mean) = regularise(g.variables["params"], ws, noise)
    close(slope, ada_file["pl/grads"], 1e-5)
    close(jnp.sqrt(jnp.square(slope).sum(2).mean(1)), ada_file["pl/lengths"], 1e-5)
    close(penalty, ada_file["pl/penalty"].mean(), 1e-5)
    close(mean, ada_file["pl/mean_after"], 1e-5)


def test_nvlabs_tensors_come_back(ada, ada_file):
    gives_back(*ada, golden_source(ada_file, "G_ema", "D").tensors)


def test_nvlabs_facts_tell_what_shapes_do_not(ada_file):
    source = golden_source(ada_file, "G_ema", "D")
    facts = {
        "G_ema.synthesis.b4.conv1.conv_clamp": 256,
        "G_ema.mapping.w_avg_beta": 0.998,
        "D.b4.conv.conv_clamp": 256,
        "D.b4.mbstd.group_size": None,
    }
    source = Source(source.tensors, facts)
    g = stylegan2_nvlabs.generator(source, "G_ema").module
    d = stylegan2_nvlabs.discriminator(source, "D").module
    assert (g.conv_clamp, g.w_avg_decay, d.conv_clamp, d.group) == (256.0, 0.998, 256.0, 0)


@pytest.mark.parametrize(
    ("change", "facts", "said"),
    [
        ({"G_ema.synthesis.b8.conv0.resample_filter": np.ones((4, 4), np.float32)}, {}, "another filter"),
        ({}, {"G_ema.mapping.fc0.activation": "relu"}, "activation 'relu'"),
        ({}, {"G_ema.synthesis.b8.conv0.activation": "relu"}, "activation 'relu'"),
        ({"G_ema.synthesis.b32.torgb.weight": np.zeros((96, 32, 1, 1), np.float32)}, {}, "96 channels"),
        ({"G_ema.synthesis.b8.conv0.weight": np.zeros((64, 64), np.float32)}, {}, "no StyleGAN2's"),
        ({"G_ema.synthesis.b8.conv0.weight": None}, {}, "odd number of layers"),
        ({"G_ema.mapping.fc0.weight": None}, {}, "mapping network"),
    ],
)
def test_other_networks_are_refused_in_one_line(ada_file, change, facts, said):
    tensors = golden_source(ada_file, "G_ema", "D").tensors | change
    source = Source({k: v for k, v in tensors.items() if v is not None}, facts)
    with pytest.raises(GanxError, match=said) as caught:
        stylegan2_nvlabs.generator(source, "G_ema")
    assert "\n" not in str(caught.value)


# -- genforce ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def genforce_file(shared):
    return dict(np.load(shared / "goldens" / "sefa" / "stylegan2_small.npz"))


@pytest.fixture(scope="module")
def genforce(genforce_file):
    return bring(stylegan2_genforce, golden_source(genforce_file, "generator_smooth", "discriminator"))


@pytest.fixture(scope="module")
def genforce_gan(genforce):
    (network, _), _ = genforce
    return make_gan("stylegan2", *network)


def test_genforce_codes_and_images(genforce_gan, genforce_file):
    act = genforce_gan.until("map", jnp.asarray(genforce_file["z"]))
    close(act.features, genforce_file["wp"], 1e-6)
    close(genforce_gan.since("map", act), nhwc(genforce_file["img"]))
    code = jnp.asarray(genforce_file["code"])
    close(genforce_gan.since("map", act.with_features(code)), nhwc(genforce_file["img_code"]))


def test_truncation_lands_on_the_reference_code(genforce_gan, genforce_file):
    w_avg = genforce_file["G/truncation.w_avg"]
    there, here = genforce_file["wp"] - w_avg, genforce_file["code"] - w_avg
    psi = np.sum(here * there, (0, 2)) / np.sum(there**2, (0, 2))
    cutoff = int((psi < 0.999).sum())
    z = jnp.asarray(genforce_file["z"])
    close(genforce_gan.until("map", z, psi=float(psi[0].round(4)), cutoff=cutoff).features, genforce_file["code"])


def test_styles_equal_the_reference(genforce_gan, genforce_file):
    """Every layer's affine map, and the matrices that SeFa factorises."""
    module, variables = genforce_gan.module, genforce_gan.variables
    styles = module.apply(variables, jnp.asarray(genforce_file["wp"]), method="styles")
    for i in range(9):
        close(styles[f"layer{i}"], genforce_file[f"style/style{i:02d}"])
    for i in range(5):
        close(styles[f"rgb{i}"], genforce_file[f"style/output_style{i}"])
    matrices = module.apply(variables, method="style_matrices")
    assert list(matrices) == [f"layer{i}" for i in range(9)] + ["rgb4"]
    for name, matrix in matrices.items():
        np.testing.assert_array_equal(matrix.T, variables["params"][name]["style"]["kernel"])


def test_genforce_logits(genforce, genforce_file):
    (_, d), _ = genforce
    close(jax.jit(d.module.apply)(d.variables, nhwc(genforce_file["img"])), genforce_file["logits"][:, 0], 1e-5)


def test_genforce_tensors_come_back(genforce, genforce_file):
    gives_back(*genforce, golden_source(genforce_file, "generator_smooth", "discriminator").tensors)
