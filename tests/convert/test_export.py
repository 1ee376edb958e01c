"""What came in goes out: the same names, shapes, types and bits; trained weights under the names of the source."""

import dataclasses
import json

import handmade
import jax
import numpy as np
import pytest
from test_import_dcgan import _example_discriminator, _example_generator

import ganx
from ganx import GanxError
from ganx.cli import main
from ganx.convert import export_gan, import_checkpoint, origin, read_source
from ganx.convert.keymap import Entry, Source
from ganx.convert.origin import Line, restored
from ganx.models import init_gan
from ganx.training import default_config
from ganx.training.loop import train
from ganx.training.mesh import make_mesh


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert found[name].tobytes() == array.tobytes(), name


@pytest.fixture(scope="module")
def state():
    """A training checkpoint of the PyTorch example, with an optimiser that is no part of a network."""
    state = {f"netG.module.{k}": v for k, v in _example_generator().items()}
    state |= {f"netD.{k}": v for k, v in _example_discriminator().items()}
    return state | {"optimizerG.exp_avg": np.ones(3, np.float32)}


@pytest.fixture(scope="module")
def saved(state, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gan")
    imported = import_checkpoint(handmade.save_zip(folder / "both.pth", state))
    assert imported.left == ("optimizerG.exp_avg",)
    return imported.save(folder / "gan")


def networks(state):
    return {name: array for name, array in state.items() if not name.startswith("optimizer")}


def test_an_untouched_gan_goes_back_bit_for_bit(saved, state, tmp_path):
    """Counters of batches included, which ganx has no use for and PyTorch's loader insists on."""
    done = export_gan(saved, tmp_path / "back.safetensors")
    assert done.files == {tmp_path / "back.safetensors": len(networks(state))}
    assert done.layout == "pytorch-dcgan"
    same(read_source(tmp_path / "back.safetensors").tensors, networks(state))


def test_import_export_import(saved, tmp_path):
    export_gan(saved, tmp_path / "back.safetensors")
    again = import_checkpoint(tmp_path / "back.safetensors")
    equal = jax.tree.map(np.array_equal, again.gan.variables, ganx.load(saved).variables)
    assert all(jax.tree.leaves(equal))
    assert again.left == ()


def test_what_no_tensor_says_is_told(tmp_path, capsys):
    gan = init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 4}, jax.random.key(0))
    for name, stage in (("plain", ""), ("mended", "s0")):
        ganx.save(dataclasses.replace(gan, module=gan.module.clone(rectified=stage)), tmp_path / name)
        main(["export", str(tmp_path / name), "--out", str(tmp_path / f"{name}.safetensors")])
        assert ("a ReLU after s0" in capsys.readouterr().out) == bool(stage)


GOLDENS = {
    "stylegan2_small": ("generator_smooth", "discriminator", "stylegan2"),
    "stylegan_small": ("generator_smooth", "discriminator", "stylegan"),
    "pggan_small": ("generator_smooth", "discriminator", "pggan"),
    "nv_sg2ada_c5_small": ("G_ema", "D", "stylegan2"),
}


@pytest.mark.parametrize("golden", GOLDENS)
def test_every_layout_goes_back_bit_for_bit(shared, tmp_path, golden):
    generator, discriminator, family = GOLDENS[golden]
    roots = {"G": generator, "D": discriminator}
    with np.load(shared / "goldens" / "sefa" / f"{golden}.npz") as file:
        names = {key: key.partition("/") for key in file}
        state = {f"{roots[root]}.{name}": file[key] for key, (root, _, name) in names.items() if root in roots}
    imported = import_checkpoint(handmade.save_zip(tmp_path / "a.pt", state))
    assert (imported.gan.spec.family, imported.left) == (family, ())
    imported.save(tmp_path / "gan")
    export_gan(tmp_path / "gan", tmp_path / "back.safetensors")
    same(read_source(tmp_path / "back.safetensors").tensors, state)


def test_a_trained_gan_goes_back_under_the_same_names(saved, state, tmp_path):
    """What changed is changed, and nothing else."""
    gan, pair = ganx.load(saved), ganx.store.load_discriminator(saved)
    variables = jax.tree.map(lambda leaf: leaf, gan.variables)
    variables["params"]["rgb"]["kernel"] = variables["params"]["rgb"]["kernel"] + 1
    ganx.save(ganx.Gan(gan.module, variables, gan.spec), tmp_path / "tuned", pair)
    origin.copy(saved, tmp_path / "tuned")
    export_gan(tmp_path / "tuned", tmp_path / "back.safetensors")
    last = "netG.module.main.9.weight"
    same(read_source(tmp_path / "back.safetensors").tensors, networks(state) | {last: state[last] + 1})


def test_a_run_that_started_from_it_goes_back_under_the_same_names(saved, state, tmp_path, capsys):
    config = default_config()
    config.data.source, config.init = "world:faces?size=32", str(saved)
    config.batch, config.steps, config.samples, config.sample_every = 4, 1, 4, 0
    train(config, tmp_path / "run", make_mesh(jax.devices()[:1]))
    assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "back.safetensors")]) == 0
    assert "key names of pytorch-dcgan" in capsys.readouterr().out
    found = read_source(tmp_path / "back.safetensors").tensors
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in networks(state).items()}
    for name in ("netG.module.main.9.weight", "netD.main.0.weight"):  # one step of Adam
        assert 0 < np.abs(found[name] - state[name]).max() < 1e-3


def test_two_files_go_back_as_two(tmp_path):
    one, two = _example_generator(), _example_discriminator()
    one["main.1.weight"] = one["main.1.weight"].astype(np.float16)
    handmade.save_zip(tmp_path / "g.pth", one)
    handmade.save_legacy(tmp_path / "d.pth", two)
    import_checkpoint(tmp_path / "g.pth", discriminator=tmp_path / "d.pth").save(tmp_path / "gan")
    done = export_gan(tmp_path / "gan", tmp_path / "back.safetensors")
    assert [path.name for path in done.files] == ["back.safetensors", "back.discriminator.safetensors"]
    for path, wanted in zip(done.files, (one, two), strict=True):
        same(read_source(path).tensors, wanted)


def test_a_gan_that_was_not_imported_gets_its_own_names(tmp_path, capsys):
    gan = init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 4}, jax.random.key(0))
    ganx.save(gan, tmp_path / "gan")
    assert main(["export", str(tmp_path / "gan"), "--out", str(tmp_path / "out.safetensors")]) == 0
    assert "this GAN was not imported" in capsys.readouterr().out
    found = read_source(tmp_path / "out.safetensors").tensors
    np.testing.assert_array_equal(found["generator.params.s0.kernel"], gan.variables["params"]["s0"]["kernel"])
    assert len(found) == len(jax.tree.leaves(gan.variables))


def test_the_facts_travel_with_the_tensors(tmp_path):
    from ganx.convert import safetensors

    facts = {"G_ema.z_dim": 4, "G_ema._init_kwargs.architecture": "skip", "sizes": [1, 2.5, None]}
    safetensors.write(tmp_path / "a", {"w": np.ones(2, np.float32)}, facts)
    assert read_source(tmp_path / "a").facts == facts


def test_a_rounding_transform_gives_the_original_back():
    """1e-9 + 1 - 1 is 0: the tensor itself is kept for as long as the variable is what became of it."""
    tensor = np.array([1e-9, -0.0, 0.3], np.float32)
    entry = Entry("b", "params/b", "plus:1")
    kept = origin.to_keep({"generator": [entry]}, {"generator": ""}, Source({"b": tensor, "unused": tensor}))
    assert set(kept) == {("generator", "b"), ("generator", "unused")}
    line = Line("b", "params/b", "plus:1", (3,), "float32")
    assert restored(line, tensor + 1, kept["generator", "b"]).tobytes() == tensor.tobytes()
    np.testing.assert_allclose(restored(line, tensor + 3, kept["generator", "b"]), tensor + 2, atol=1e-6)


def test_exact_tensors_are_not_kept_twice():
    entry = Entry("w", "params/w", "dense")
    for dtype in (np.float16, np.float32):
        assert origin.to_keep({"generator": [entry]}, {"generator": ""}, Source({"w": np.ones((2, 2), dtype)})) == {}


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (origin.MAP, b"{"),
        (origin.MAP, b"[]"),
        (origin.MAP, json.dumps({"format": 1, "layout": "x", "parts": {"generator": [[1]]}}).encode()),
        (origin.KEPT, b""),
        (origin.KEPT, b"\xff" * 100),
    ],
    ids=["cut", "no map", "short line", "empty", "noise"],
)
def test_a_damaged_origin_is_one_line(saved, tmp_path, name, damage):
    (tmp_path / "gan").mkdir()
    origin.copy(saved, tmp_path / "gan")
    (tmp_path / "gan" / name).write_bytes(damage)
    with pytest.raises(GanxError, match="import the model again"):
        origin.read(tmp_path / "gan")


def test_export_where_nothing_can_be_written(saved, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GanxError, match="cannot write"):
        export_gan(saved, tmp_path / "file" / "out.safetensors")
