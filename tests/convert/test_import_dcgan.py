"""DCGAN checkpoints: the import draws what PyTorch draws, and accounts for every tensor."""

import itertools

import handmade
import jax
import numpy as np
import pytest

from ganx import GanxError
from ganx.convert import import_checkpoint, summary_table

FACES = "data/face-dcgan32"


@pytest.fixture(scope="module")
def faces(shared):
    folder = shared / FACES
    return import_checkpoint(folder / "generator.pt", discriminator=folder / "discriminator.npz")


@pytest.fixture(scope="module")
def reference(shared):
    """Latents, and what PyTorch made of them, channels last."""
    with np.load(shared / FACES / "reference_io.npz") as file:
        return {k: v.transpose(0, 2, 3, 1) if v.ndim == 4 else v for k, v in file.items()}


def test_faces_are_recognised(faces):
    spec = faces.gan.spec
    assert (spec.family, spec.resolution, spec.channels, spec.latent) == ("dcgan", 32, 3, (100,))
    assert spec.prior == "uniform"
    assert spec.shapes == ((4, 4, 256), (4, 4, 128), (8, 8, 64), (16, 16, 32), (32, 32, 3))
    kinds = [(block.kind, block.kernel, block.activation) for block in faces.gan.module.blocks]
    up = ("up", 4, "lrelu")
    assert kinds == [("project", 4, "none"), ("conv", 3, "lrelu"), up, up, ("up", 4, "tanh")]


def test_every_stage_of_the_faces_matches_torch(faces, reference):
    gan, z = faces.gan, reference["z"]
    for i, stage in enumerate(gan.stages[:-1]):
        act = gan.until(stage, z)
        np.testing.assert_allclose(act.features, reference[f"block{i}"], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(gan.since(stage, act), gan(z))
    np.testing.assert_allclose(gan(z), reference["image"], rtol=0, atol=1e-5)


def test_the_discriminator_of_the_faces_matches_torch(faces, reference):
    module, variables = faces.discriminator
    logits = module.apply(variables, reference["image"])
    np.testing.assert_allclose(logits, reference["d_logit"][:, 0], rtol=0, atol=1e-5)


def test_the_npz_of_the_faces_is_the_same_generator(faces, shared):
    other = import_checkpoint(shared / FACES / "generator.npz", family="dcgan")
    assert other.discriminator is None
    assert other.gan.spec == faces.gan.spec
    assert other.gan.module == faces.gan.module
    same = jax.tree.map(np.array_equal, other.gan.variables, faces.gan.variables)
    assert all(jax.tree.leaves(same))


def test_a_generator_is_needed(shared, tmp_path):
    with pytest.raises(GanxError, match="discriminator and no generator"):
        import_checkpoint(shared / FACES / "discriminator.npz")
    np.savez(tmp_path / "other.npz", weight=np.zeros((3, 3), np.float32))
    with pytest.raises(GanxError, match="no generator that ganx imports"):
        import_checkpoint(tmp_path / "other.npz")
    with pytest.raises(GanxError, match="second file holds no dcgan discriminator"):
        import_checkpoint(shared / FACES / "generator.pt", discriminator=shared / FACES / "generator.npz")


def _norm(rng, prefix: str, width: int) -> dict[str, np.ndarray]:
    arrays = {
        "weight": rng.normal(1, 0.1, width),
        "bias": rng.normal(0, 0.1, width),
        "running_mean": rng.normal(0, 0.1, width),
        "running_var": rng.uniform(0.5, 1, width),
    }
    counter = {f"{prefix}.num_batches_tracked": np.array(5, np.int64)}
    return {f"{prefix}.{k}": v.astype(np.float32) for k, v in arrays.items()} | counter


def _example_generator(widths=(8, 6, 4), latent: int = 5) -> dict[str, np.ndarray]:
    """A state dict in the layout of PyTorch's own DCGAN example; `widths` and then 3 channels."""
    rng, state = np.random.default_rng(0), {}
    channels = (latent, *widths, 3)
    for i, (entering, leaving) in enumerate(itertools.pairwise(channels)):
        state[f"main.{3 * i}.weight"] = rng.normal(0, 0.3, (entering, leaving, 4, 4)).astype(np.float32)
        if leaving != 3:
            state |= _norm(rng, f"main.{3 * i + 1}", leaving)
    return state


def _example_discriminator(widths=(4, 6, 8)) -> dict[str, np.ndarray]:
    rng, channels = np.random.default_rng(1), (3, *widths, 1)
    state = {}
    for i, (entering, leaving) in enumerate(itertools.pairwise(channels)):
        at = 0 if i == 0 else 3 * i - 1
        state[f"main.{at}.weight"] = rng.normal(0, 0.3, (leaving, entering, 4, 4)).astype(np.float32)
        if 0 < i < len(widths):
            state |= _norm(rng, f"main.{at + 1}", leaving)
    return state


def _transposed(x: np.ndarray, weight: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """A transposed convolution by its definition: each input pixel stamps the kernel on the output."""
    n, _, h, w = x.shape
    size = weight.shape[2]
    out = np.zeros((n, weight.shape[1], stride * (h - 1) + size, stride * (w - 1) + size))
    for i in range(h):
        for j in range(w):
            stamp = np.einsum("nc,cokl->nokl", x[:, :, i, j], weight)
            out[:, :, stride * i : stride * i + size, stride * j : stride * j + size] += stamp
    return out[:, :, padding : out.shape[2] - padding, padding : out.shape[3] - padding]


def _normalised(x: np.ndarray, state: dict[str, np.ndarray], prefix: str) -> np.ndarray:
    weight, bias, mean, var = (
        state[f"{prefix}.{k}"][:, None, None] for k in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(var + 1e-5) * weight + bias


def _example_images(state: dict[str, np.ndarray], z: np.ndarray) -> np.ndarray:
    x, last = z[:, :, None, None].astype(np.float64), max(int(key.split(".")[1]) for key in state)
    for at in range(0, last, 3):
        x = _transposed(x, state[f"main.{at}.weight"], 2 if at else 1, 1 if at else 0)
        x = np.maximum(_normalised(x, state, f"main.{at + 1}"), 0)
    return np.tanh(_transposed(x, state[f"main.{last}.weight"], 2, 1)).transpose(0, 2, 3, 1)


def test_the_layout_of_the_pytorch_example(tmp_path):
    state = _example_generator()
    imported = import_checkpoint(handmade.save_zip(tmp_path / "g.pth", state))
    assert imported.gan.spec.prior == "normal"
    assert [block.kind for block in imported.gan.module.blocks] == ["project", "up", "up", "up"]
    z = np.random.default_rng(2).normal(size=(2, 5)).astype(np.float32)
    np.testing.assert_allclose(imported.gan(z), _example_images(state, z), rtol=0, atol=1e-5)


def test_generator_and_discriminator_in_one_file(tmp_path):
    """Nested under their own names, as a training script saves them, and wrapped for several devices."""
    state = {f"netG.module.{k}": v for k, v in _example_generator().items()}
    state |= {f"netD.{k}": v for k, v in _example_discriminator().items()}
    imported = import_checkpoint(handmade.save_legacy(tmp_path / "both.pth", state))
    module, variables = imported.discriminator
    assert module.apply(variables, np.zeros((2, 32, 32, 3), np.float32)).shape == (2,)
    assert {row.source for row in imported.table} == {k for k in state if "num_batches" not in k}


def _refusal(path, state: dict[str, np.ndarray], **options) -> str:
    with pytest.raises(GanxError) as caught:
        import_checkpoint(handmade.save_zip(path / "g.pth", state), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tensors_left_over_and_variables_left_out_are_both_named(tmp_path):
    state = _example_generator()
    del state["main.4.running_var"]
    del state["main.1.bias"]
    state["main.20.alpha"] = np.ones(3, np.float32)
    state["optimizer.step"] = np.ones((), np.float32)
    message = _refusal(tmp_path, state)
    places, variables = message.split("variables without a tensor: ")
    assert "main.20.alpha" in places
    assert "optimizer.step" in places
    assert "params/s0/norm/bias" in variables
    assert "batch_stats/s1/norm/var" in variables


@pytest.mark.parametrize("extra", ["main.20.alpha", "main.9.bias_ema", "other.0.weight"])
def test_one_tensor_too_many_is_enough(tmp_path, extra):
    assert extra in _refusal(tmp_path, _example_generator() | {extra: np.ones(3, np.float32)})


def test_one_tensor_too_few_is_enough(tmp_path):
    state = _example_generator()
    del state["main.7.bias"]
    assert "params/s2/norm/bias" in _refusal(tmp_path, state)


def test_a_missing_layer_is_not_papered_over(tmp_path):
    state = {key: array for key, array in _example_generator().items() if not key.startswith("main.3.")}
    assert "main.6 has a weight of shape [6, 4, 4, 4] where 8 channels come in" in _refusal(tmp_path, state)


@pytest.mark.parametrize(
    ("key", "array", "said"),
    [
        ("main.3.weight", np.zeros((8, 6, 5, 4), np.float32), "square"),
        ("main.3.weight", np.zeros((8, 6, 6, 6), np.float32), "ganx knows transposed 4 x 4"),
        ("main.3.weight", np.zeros((0, 6, 4, 4), np.float32), "6"),
        ("main.9.weight", np.zeros((4, 7, 4, 4), np.float32), "7 channels"),
        ("main.1.weight", np.ones(9, np.float32), "main.1.weight"),
        ("main.1.running_var", np.full(8, np.nan, np.float32), "NaN"),
    ],
)
def test_other_architectures_are_refused(tmp_path, key, array, said):
    assert said in _refusal(tmp_path, _example_generator() | {key: array})


def test_a_discriminator_of_other_images_is_refused(tmp_path):
    state = {f"g.{k}": v for k, v in _example_generator().items()}
    state |= {f"d.{k}": v for k, v in _example_discriminator((4, 8)).items()}
    assert "reads 16 x 16 x 3 images and the generator draws 32 x 32 x 3" in _refusal(tmp_path, state)


def test_an_unknown_family_is_refused(tmp_path):
    assert "'dcgan'" in _refusal(tmp_path, _example_generator(), family="dcgam")


def test_half_precision_weights_become_float32(tmp_path):
    state = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in _example_generator().items()}
    imported = import_checkpoint(handmade.save_zip(tmp_path / "g.pth", state))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(imported.gan.variables)} == {"float32"}
    assert imported.table[0].dtype == "float16"


def test_the_summary_lists_every_tensor(tmp_path):
    imported = import_checkpoint(handmade.save_zip(tmp_path / "g.pth", _example_generator()))
    head, layout, _, title, first, *rest = summary_table(imported).splitlines()
    assert head == "dcgan: 32 x 32 x 3, latent 5 (normal), stages s0, s1, s2, rgb"
    assert layout == "layout pytorch-dcgan"
    assert title.split() == ["tensor", "becomes", "shape", "dtype"]
    assert first.split() == ["main.0.weight", "params/s0/kernel", "5", "x", "8", "x", "4", "x", "4", "float32"]
    assert len(rest) + 1 == len(imported.table) == 4 + 3 * 4
