"""Files that read well and make no network: each is refused in one line, soon."""

import json
import random
import time

import biggan_numpy
import handmade
import numpy as np
import pytest
from test_import_dcgan import _example_discriminator, _example_generator
from test_import_stylegan2_written import tensorflow_tensors, written

from ganx import GanxError
from ganx.cli import main
from ganx.convert import import_checkpoint, read_source, safetensors

HUGE = 10**30
SECONDS = 20.0  # much for a file, for the machine may be busy; without limits these took minutes or never ended


def _said(path) -> str:
    """The one line with which an import is refused, if it is."""
    start = time.perf_counter()
    said = ""
    try:
        import_checkpoint(path)
    except GanxError as error:
        said = str(error)
    assert time.perf_counter() - start < SECONDS
    assert not said or said.isprintable()  # which a line break is not
    return said


@pytest.fixture(scope="module")
def style():
    """The tensors and facts of a StyleGAN2 in TensorFlow's names."""
    g, d = written({"architecture": "skip", "conv_clamp": 256.0}, {"cmap_layers": 1, "group": 8}, classes=3)
    facts = {"Gs.static_kwargs.conv_clamp": 256, "D.static_kwargs.mbstd_group_size": 8}
    return tensorflow_tensors(g[1], d[1], False), facts


@pytest.mark.parametrize("fact", ["Gs.static_kwargs.conv_clamp", "D.static_kwargs.mbstd_group_size"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300, HUGE])
def test_absurd_hyper_parameters(style, tmp_path, fact, value):
    tensors, facts = style
    safetensors.write(tmp_path / "gan", tensors, {**facts, fact: value})
    assert "which no network has" in _said(tmp_path / "gan")


def test_groups_of_a_negative_size(style, tmp_path):
    tensors, facts = style
    safetensors.write(tmp_path / "gan", tensors, {**facts, "D.static_kwargs.mbstd_group_size": -1.0})
    assert "mbstd_group_size is -1.0, which no network has" in _said(tmp_path / "gan")


def _deep(folder, **config):
    state = {
        "generator.gen_z.weight_orig": np.zeros((16, 4), np.float32),
        "embeddings.weight": np.zeros((2, 3), np.float32),
    }
    for name, shape in (("conv_0.weight_orig", (2, 2, 1, 1)), ("conv_3.weight_orig", (2, 2, 1, 1))):
        state[f"generator.layers.0.{name}"] = np.zeros(shape, np.float32)
    folder.mkdir()
    handmade.save_zip(folder / "pytorch_model.bin", state)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("eps", ["x", [1], None, HUGE, -1.0, float("nan"), True])
def test_an_epsilon_that_is_none(tmp_path, eps):
    assert "its eps is" in _said(_deep(tmp_path / "hf", eps=eps))


@pytest.mark.parametrize("layers", [5, "ab", [1], [[]], [["a"]]])
def test_layers_that_are_none(tmp_path, layers):
    assert "lists its layers in an unknown way" in _said(_deep(tmp_path / "hf", layers=layers))


def test_a_configuration_that_says_something_twice(tmp_path):
    folder = _deep(tmp_path / "hf")
    (folder / "config.json").write_text('{"eps": 1e-4, "eps": 1e-5}')
    assert "it names something twice" in _said(folder)


def test_a_pickle_that_says_something_twice(tmp_path):
    one = handmade.plain("0", np.ones(2, np.float32))
    twice = b"}(" + 2 * (handmade.text("w") + one) + b"u"
    handmade.zip_container(tmp_path / "z", twice, {"0": bytes(8)})
    assert "it has two entries named 'w'" in _said(tmp_path / "z")


@pytest.mark.parametrize("name", ["red\x1b[31m\x1b[2J", "two\nlines", "half\ud800", "bell\a"])
def test_names_that_a_terminal_would_obey(tmp_path, name):
    raw = json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "gan").write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(4))
    assert "refused: a tensor is named " in _said(tmp_path / "gan")


def test_thousands_of_layers(tmp_path):
    state = {f"{2 * i}.{name}": np.zeros(shape, np.float32) for i in range(5000) for name, shape in LINEAR}
    safetensors.write(tmp_path / "gan", state, {})
    assert "holds no generator" in _said(tmp_path / "gan")


LINEAR = (("weight", (4, 4)), ("bias", (4,)))


def test_more_names_than_any_network_has(tmp_path):
    safetensors.write(tmp_path / "gan", {str(i): np.zeros(0, np.float32) for i in range(100_001)}, {})
    assert "too many entries" in _said(tmp_path / "gan")


VALUES = (float("nan"), -1, 0, HUGE, "x", None, [], [1], True, -1.0)


def _mutant(rng: random.Random, tensors, facts):
    """Tensors lost, emptied, reshaped, retyped and exchanged; facts made absurd."""
    tensors, facts = dict(tensors), dict(facts)
    for _ in range(rng.choice((1, 1, 2, 3))):
        name, other = rng.choice(list(tensors)), rng.choice(list(tensors))
        array = tensors[name]
        tensors[name] = rng.choice(
            (
                tensors[other],
                np.zeros((), np.float32),
                np.zeros(rng.choice(((0,), (3,), (7, 5), (2, 2, 2), (1, 1, 1, 1), (3, 0))), np.float32),
                array.reshape(-1),
                np.moveaxis(array, 0, -1) if array.ndim else array,
                np.repeat(array, 2, rng.randrange(array.ndim)) if array.ndim else array[None],
                np.full(array.shape, np.nan, np.float32),
                array.astype(rng.choice((np.int64, np.bool_, np.float16))),
            )
        )
        if rng.random() < 0.2:
            del tensors[name]
    if facts and rng.random() < 0.5:
        facts[rng.choice(list(facts))] = rng.choice(VALUES)
    return tensors, facts


@pytest.mark.filterwarnings("ignore")
def test_mutants_of_networks_are_imported_or_refused_in_one_line(style, tmp_path):
    plain = {f"netG.{k}": v for k, v in _example_generator().items()}
    plain |= {f"netD.{k}": v for k, v in _example_discriminator().items()}
    big = {f"G_ema.{k}": v for k, v in biggan_numpy.generator_state().items()}
    big |= {f"D.{k}": v for k, v in biggan_numpy.discriminator_state().items()}
    bases = [style, (plain, {}), (big, {})]
    rng, outcomes = random.Random(0), []
    for number in range(36):
        path = tmp_path / str(number)
        safetensors.write(path, *_mutant(rng, *bases[number % len(bases)]))
        outcomes.append(bool(_said(path)))
    assert any(outcomes)
    assert not all(outcomes)


def test_the_command_says_it_in_one_line(tmp_path, capsys):
    folder = _deep(tmp_path / "hf", eps="x")
    assert main(["import", str(folder), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert read_source(folder).tensors
    assert not (tmp_path / "out").exists()
