"""The command line: what it answers, and that bad input is one line and exit code 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import ganx
from ganx.cli import build_parser, main
from ganx.models import init_gan

ROOT = Path(__file__).parents[1]
CONFIG = """
from ganx.training import default_config
def get_config():
    config = default_config()
    config.data.source = "npz:{source}"
    config.model.generator = {{"width": 4, "latent": 4}}
    config.model.discriminator = {{"width": 4}}
    config.batch, config.steps, config.log_every, config.samples = 8, 2, 1, 4
    config.sample_every = config.checkpoint_every = 0
    return config
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A config file, its data, and a saved GAN."""
    folder = tmp_path_factory.mktemp("cli")
    images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images)
    (folder / "config.py").write_text(CONFIG.format(source=folder / "images.npz"))
    ganx.save(init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 4}, jax.random.key(0)), folder / "gan")
    return folder


def run(capsys, *words):
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def verbs():
    return list(build_parser()._subparsers._group_actions[0].choices)


@pytest.mark.parametrize("verb", verbs())
def test_help_teaches(verb, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([verb, "--help"])
    assert exit_.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_train_then_explain(folder, tmp_path, capsys):
    code, out, _ = run(
        capsys, "train", "--config", folder / "config.py", "--workdir", tmp_path / "run", "--config.steps", "1"
    )
    assert code == 0
    assert "step 1" in out
    code, out, _ = run(capsys, "explain", tmp_path / "run", "--out", tmp_path / "report", "--only", "samples")
    assert code == 0
    page = Path(out.strip())
    assert page.read_text().startswith("<!")
    assert json.loads((page.parent / "report.json").read_text())["family"] == "dcgan"


def test_import_then_load(shared, tmp_path, capsys):
    code, out, _ = run(
        capsys, "import", shared / "data/face-dcgan32/generator.pt", "--family", "dcgan", "--out", tmp_path / "faces"
    )
    assert code == 0
    assert "generator_deconv" in out  # the table of what was found
    reference = np.load(shared / "data/face-dcgan32/reference_io.npz")
    images = ganx.load(tmp_path / "faces")(reference["z"])
    np.testing.assert_allclose(images, reference["image"].transpose(0, 2, 3, 1), atol=1e-5)


def test_data_verbs(folder, tmp_path, capsys):
    source = f"npz:{folder / 'images.npz'}"
    assert "32" in run(capsys, "data", "info", source)[1]
    code, _, _ = run(capsys, "data", "preview", source, "--out", tmp_path / "sheet.png", "--count", 4)
    assert code == 0
    assert Image.open(tmp_path / "sheet.png").size[0] > 16
    code, _, _ = run(capsys, "data", "prepare", source, "--out", tmp_path / "records")
    assert code == 0
    assert "32" in run(capsys, "data", "info", f"record:{tmp_path / 'records'}")[1]


@pytest.fixture
def tmp(tmp_path):
    """A folder full of things that are wrong."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "half.zip").write_bytes(b"PK\x03\x04 not really")
    (tmp_path / "model.pt").write_bytes(b"\x80\x02cos\nsystem\nq\x00.")
    (tmp_path / "file").write_text("")
    return tmp_path


TRAIN = "train --config {folder}/config.py --workdir {tmp}/run "
BAD_INPUT = {
    "typo in a config key": (TRAIN + "--config.stepz=3", "did you mean 'steps'"),
    "wrong type": (TRAIN + "--config.batch=many", "expected int"),
    "typo in an option": (TRAIN + "--workdri=x", "did you mean '--workdir'"),
    "a setting given like an option": (TRAIN + "--steps=3", "write --config.steps=VALUE"),
    "no sheet": ("data preview world:faces --out {tmp}/x.png --count 0", "1 example or more"),
    "a folder for a zip": (TRAIN + "--config.data.source=zip:{tmp}/empty", "open it as folder:"),
    "no such config": ("train --config {tmp}/no.py --workdir {tmp}/run", "no config file"),
    "missing folder": (TRAIN + "--config.data.source=folder:{tmp}/none", "none"),
    "empty folder": (TRAIN + "--config.data.source=folder:{tmp}/empty?size=8", "empty"),
    "corrupt image": (TRAIN + "--config.data.source=folder:{tmp}/broken?size=8", "a.png"),
    "truncated zip": (TRAIN + "--config.data.source=zip:{tmp}/half.zip?size=8", "half.zip"),
    "unwritable workdir": ("train --config {folder}/config.py --workdir {tmp}/file/run", "cannot write"),
    "batch that does not divide": (TRAIN + "--config.batch=5", "--config.batch="),
    "unknown family": (TRAIN + "--config.model.family=dcgam", "did you mean 'dcgan'"),
    "no such GAN": ("explain {tmp}/none", "no GAN at"),
    "not a GAN": ("explain {tmp}/empty", "not a ganx checkpoint"),
    "a PyTorch file to explain": ("explain {tmp}/model.pt", "ganx import"),
    "unknown lens": ("explain {folder}/gan --out {tmp}/r --only sampels", "did you mean 'samples'"),
    "unwritable report": ("explain {folder}/gan --out {tmp}/file/r", "file"),
    "hostile pickle": ("import {tmp}/model.pt --out {tmp}/x", "model.pt"),
    "missing checkpoint": ("import {tmp}/no.pt --out {tmp}/x", "no.pt"),
    "unknown source": ("data info wrld:faces", "did you mean 'world'"),
    "unknown world": ("data info world:face", "did you mean 'faces'"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_two(folder, tmp, capsys, case):
    words, expected = BAD_INPUT[case]
    code, _, err = run(capsys, *words.format(folder=folder, tmp=tmp).split())
    assert code == 2
    line = err.strip().splitlines()[-1]
    assert line.startswith("ganx: ")
    assert expected in line
    assert "Traceback" not in err


def test_a_pipe_that_closes_early_is_no_error(folder):
    command = f"{sys.executable} -m ganx.cli data info npz:{folder / 'images.npz'} | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


def test_a_command_keeps_its_compiled_programs_and_gives_the_same_again(folder, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environment["GANX_CACHE"] = str(tmp_path / "cache")
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"  # all of them, however fast this machine is
    command = [sys.executable, "-m", "ganx.cli", "sefa", str(folder / "gan"), "--top", "1", "--steps", "3", "--out"]
    kept, found = [], []
    for name in ("first", "second"):
        subprocess.run([*command, str(tmp_path / name)], env=environment, check=True, timeout=300, capture_output=True)
        kept.append({path.name for path in (tmp_path / "cache" / "programs").rglob("*-cache")})
        found.append({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.png")})
    assert kept[0]
    assert kept[1] == kept[0]
    assert found[0]
    assert found[1] == found[0]
