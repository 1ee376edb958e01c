"""StyleGAN3 checkpoints: the import draws what NVIDIA's code draws, and accounts for every tensor."""

import handmade
import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.convert import import_checkpoint, stylegan3_nvlabs, transforms
from ganx.convert.keymap import Source, check, fill, variable_shapes
from ganx.models import make_gan
from ganx.models.filtered import kaiser_lowpass, radial_lowpass

# Bands of a 16-pixel network of four layers, one of them critical, from the equations of the paper's section 3.2.
CUTOFFS = 2 * 4 ** np.array([0, 1 / 3, 2 / 3, 1, 1])
STOPBANDS = 2**2.1 * (8 * 2**0.3 / 2**2.1) ** np.array([0, 1 / 3, 2 / 3, 1, 1])
WIDTHS = 2 * (np.maximum(STOPBANDS, 8) - CUTOFFS)
NAMES = ("L0_36_8", "L1_36_8", "L2_36_8", "L3_16_8", "L4_16_3")

# What the reference draws from `state` at three latents: T and R, as it stands and with a transform.
PLACES = ([0, 0, 0, 1, 1, 2, 2, 2], [0, 3, 8, 15, 7, 0, 9, 12], [0, 11, 8, 2, 7, 15, 4, 13], [0, 1, 2, 0, 1, 2, 0, 1])
PIXELS = {
    "T": [0.2859044, -0.3079127, -0.1364633, -0.2855001, 0.2220947, -0.368908, 0.2754235, -0.0364037],
    "R": [0.005151307, -0.1177991, -0.2916973, -0.03615072, -0.09542839, -0.3041139, -0.09506474, -0.01171372],
}
MOVED = {
    "T": [0.4347764, -0.4117005, -0.2864822, -0.3903299, 0.02941441, -0.2535421, 0.4546962, -0.1027257],
    "R": [-0.004975403, -0.09540823, -0.2874611, -0.02319029, -0.08814409, -0.309519, -0.0923574, -0.01001983],
}
FACTS = {"synthesis._init_kwargs.num_critical": 1, "synthesis.L0_36_8.conv_clamp": 256}


def shapes(kernel):
    found = {"mapping.w_avg": (8,), "synthesis.input.weight": (8, 8), "synthesis.input.freqs": (8, 2)}
    found |= {"synthesis.input.phases": (8,)}
    for name, rows in (("mapping.fc0", 8), ("mapping.fc1", 8), ("synthesis.input.affine", 4)):
        found |= {f"{name}.weight": (rows, 8), f"{name}.bias": (rows,)}
    for name in NAMES:
        out, k = int(name.rpartition("_")[2]), 1 if name == NAMES[-1] else kernel
        found |= {f"synthesis.{name}.{x}": s for x, s in (("weight", (out, 8, k, k)), ("bias", (out,)))}
        found |= {f"synthesis.{name}.affine.weight": (8, 8), f"synthesis.{name}.affine.bias": (8,)}
        found[f"synthesis.{name}.magnitude_ema"] = ()
    return found


def state(kind):
    """Tensors drawn in the order of their names, then three latents."""
    rng, tensors = np.random.RandomState(7), {}
    for name, shape in sorted(shapes(3 if kind == "T" else 1).items()):
        draw = np.asarray(rng.randn(*shape), np.float32)
        if name.endswith("magnitude_ema"):
            draw = np.exp(0.5 * draw)
        elif name.startswith("mapping.fc") and name.endswith("weight"):
            draw = draw * 100
        elif name == "synthesis.input.affine.weight":
            draw = draw * 0.3
        elif name.endswith(".bias"):
            start = np.eye(4)[0] if "input" in name else float("affine" in name)
            draw = 0.3 * draw + start
        tensors[name] = np.asarray(draw, np.float32)
    tensors["synthesis.input.transform"] = np.eye(3, dtype=np.float32)
    for i, name in enumerate(NAMES[:-1]):
        lowpass = radial_lowpass if kind == "R" and i < 3 else kaiser_lowpass
        before = max(i - 1, 0)
        tensors[f"synthesis.{name}.up_filter"] = kaiser_lowpass(12, CUTOFFS[before], WIDTHS[before], 32)
        tensors[f"synthesis.{name}.down_filter"] = lowpass(12, CUTOFFS[i], WIDTHS[i], 32)
    return tensors, rng.randn(3, 8).astype(np.float32)


def source(kind, root="G_ema"):
    tensors = {f"{root}.{name}": array for name, array in state(kind)[0].items()}
    return Source(tensors, {f"{root}.{name}": value for name, value in FACTS.items()})


@pytest.mark.parametrize("size", [8, 4, 3e7, -6, float("nan")])
def test_a_filter_size_that_the_filters_do_not_have_is_refused_before_it_is_designed(size):
    tensors = {f"G.{name}": array for name, array in state("T")[0].items()}
    facts = {f"G.{name}": value for name, value in FACTS.items()}
    with pytest.raises(GanxError, match="filter_size is"):
        stylegan3_nvlabs.generator(Source(tensors, {**facts, "G.synthesis._init_kwargs.filter_size": size}), "G")


@pytest.fixture(scope="module", params=["T", "R"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def plan(kind):
    return stylegan3_nvlabs.generator(source(kind), "G_ema")


def test_images_equal_the_reference(plan, kind):
    tensors, z = source(kind).tensors, state(kind)[1]
    gan = make_gan("stylegan3", *fill(plan, tensors))
    cos, sin = np.cos(0.4), np.sin(0.4)
    matrix = np.array([[cos, -sin, 0.13], [sin, cos, -0.21], [0, 0, 1]])
    still = np.broadcast_to(np.eye(3), (3, 3, 3))
    for transform, expected in ((None, PIXELS), (still, PIXELS), (matrix, MOVED)):
        images = gan(jnp.asarray(z), transform=transform)
        np.testing.assert_allclose(images[PLACES], expected[kind], rtol=0, atol=4e-6)


def test_every_tensor_has_its_place_and_goes_back_to_the_bit(plan, kind):
    tensors = source(kind).tensors
    check([plan], tensors, tensors)
    wanted = variable_shapes(plan)
    for entry in plan.entries:
        tensor = tensors[entry.source]
        there = transforms.forward(entry.transform, tensor, wanted[entry.target])
        assert there.shape == wanted[entry.target]
        np.testing.assert_array_equal(transforms.backward(entry.transform, there, tensor.shape), tensor)


def test_the_architecture_is_read_off(plan, kind):
    module = plan.module
    assert (module.resolution, module.layers, module.critical, module.filter_size) == (16, 4, 1, 6)
    assert (module.kernel, module.radial) == ((3, False) if kind == "T" else (1, True))
    assert (module.latent, module.style, module.mapping_layers, module.classes) == (8, 8, 2, 0)


def test_moving_averages_come_first():
    both = {**source("T", "G").tensors, **source("T").tensors}
    assert stylegan3_nvlabs.generator_roots(Source(both)) == ["G_ema", "G"]
    assert stylegan3_nvlabs.generator_roots(Source(state("T")[0])) == [""]
    assert stylegan3_nvlabs.generator_roots(Source({"synthesis.b4.const": np.zeros(1)})) == []


def test_filters_show_hyper_parameters_that_are_not_told():
    tensors = source("R").tensors  # R tells by its radial filters how many layers are critical
    assert stylegan3_nvlabs.generator(Source(tensors), "G_ema").module.critical == 1
    with pytest.raises(GanxError, match=r"L1_36_8.down_filter is not the filter .*original .pkl"):
        stylegan3_nvlabs.generator(Source(source("T").tensors), "G_ema")
    with pytest.raises(GanxError, match=r"L0_36_8 would be 32 samples wide"):
        stylegan3_nvlabs.generator(Source(tensors, {"G_ema.synthesis.margin_size": 8}), "G_ema")


@pytest.mark.parametrize("lost", ["synthesis.L1_36_8.weight", "mapping.fc0.weight", "synthesis.L2_36_8.up_filter"])
def test_missing_tensors_are_named(lost):
    whole = source("T")
    tensors = {name: array for name, array in whole.tensors.items() if name != f"G_ema.{lost}"}
    with pytest.raises(GanxError):
        stylegan3_nvlabs.generator(Source(tensors, whole.facts), "G_ema")


def test_a_state_dict_file_is_recognised(tmp_path):
    imported = import_checkpoint(handmade.save_zip(tmp_path / "g.pt", state("R")[0]))
    assert imported.gan.spec.family == "stylegan3"
    assert imported.gan.spec.shapes[-1] == (16, 16, 3)
