"""The loop end to end: a run that was stopped, killed or starved goes on as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import chex
import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

import ganx
from ganx.store import load_discriminator
from ganx.training import loop
from ganx.training.checkpoints import Checkpoints
from ganx.training.loop import Diverged, train
from ganx.training.mesh import make_mesh

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mesh():
    return make_mesh(jax.devices()[:1])


def state_of(workdir):
    with Checkpoints(workdir, keep=9) as checkpoints:
        step = checkpoints.latest
    return ocp.load_checkpointables(Path(workdir) / "checkpoints" / str(step), {"state": None})["state"]


def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(tiny, tmp_path, mesh):
    whole = train(tiny, tmp_path / "whole", mesh)
    tiny.steps = 3
    first = train(tiny, tmp_path / "parts", mesh)
    assert (first.step, first.finished) == (3, True)
    tiny.steps = 6
    second = train(tiny, tmp_path / "parts", mesh)
    assert whole.step == second.step == 6
    a, b = state_of(tmp_path / "whole"), state_of(tmp_path / "parts")
    same = jax.tree.map(
        lambda x, y: bool(
            (jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x == y).all()
        ),
        a,
        b,
    )
    assert all(jax.tree.leaves(same))
    lines = [json.loads(line) for line in (tmp_path / "parts" / "metrics.jsonl").open()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_what_a_run_leaves_behind(tiny, tmp_path, mesh):
    tiny.sample_every = 4
    tiny.keep = 2
    train(tiny, tmp_path, mesh)
    names = {path.name for path in (tmp_path / "samples").iterdir()}
    assert names == {"reals-0000000.png", "fakes-0000004.png", "fakes-0000006.png"}
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["4", "6"]
    assert any((tmp_path / "tensorboard").iterdir())
    gan = ganx.load(tmp_path)
    assert gan.spec.data == tiny.data.source
    assert gan(gan.latents(jax.random.key(0), 2)).shape == (2, 8, 8, 3)
    discriminator, variables = load_discriminator(tmp_path)
    assert discriminator.apply(variables, gan(gan.latents(jax.random.key(0), 2))).shape == (2,)


def test_the_averaged_generator_is_what_loads(tiny, tmp_path, mesh):
    tiny.ema_kimg = 0.05
    train(tiny, tmp_path, mesh)
    state = state_of(tmp_path)
    gan = ganx.load(tmp_path)
    chex.assert_trees_all_equal(gan.variables, state["ema"])
    assert (
        np.asarray(state["ema"]["params"]["s0"]["kernel"]) != np.asarray(state["g"]["params"]["s0"]["kernel"])
    ).any()


def test_sigterm_saves_and_the_same_command_goes_on(tiny, tmp_path, mesh):
    tiny.steps = 400
    tiny.checkpoint_every = 0

    def stop_soon():
        while not (tmp_path / "metrics.jsonl").exists() or len((tmp_path / "metrics.jsonl").read_text()) == 0:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    watcher = threading.Thread(target=stop_soon)
    watcher.start()
    run = train(tiny, tmp_path, mesh)
    watcher.join()
    assert not run.finished
    assert 0 < run.step < 400
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    tiny.steps = run.step + 1
    assert train(tiny, tmp_path, mesh).step == run.step + 1


def test_a_number_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tiny, tmp_path, mesh, capsys):
    tiny.steps = 4
    tiny.loss = "wasserstein"
    train(tiny, tmp_path, mesh)
    tiny.steps = 8
    rate = tiny.g.lr
    tiny.d.lr = tiny.g.lr = 1e30
    with pytest.raises(Diverged) as info:
        train(tiny, tmp_path, mesh)
    assert "\n" not in str(info.value)
    assert "--config.g.lr" in str(info.value)
    with Checkpoints(tmp_path, keep=9) as checkpoints:
        saved = checkpoints.latest
    assert saved >= 4
    assert f"the checkpoint of step {saved} is kept" in str(info.value)
    gan = ganx.load(tmp_path)
    assert np.isfinite(gan(gan.latents(jax.random.key(0), 2))).all()
    tiny.steps = saved + 1
    tiny.d.lr = tiny.g.lr = rate  # what the line says to try may be tried in the same folder
    capsys.readouterr()
    assert train(tiny, tmp_path, mesh).finished
    assert f"g.lr was 1e+30 in this folder's run and is {rate} from here on" in capsys.readouterr().err


def test_running_out_of_memory_is_one_line(tiny, tmp_path, mesh, monkeypatch):
    def step(self, state, step, count):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 48784482496 bytes.\nstack")

    monkeypatch.setattr(loop.Program, "__call__", step)
    with pytest.raises(ganx.GanxError, match=r"not enough memory \(.*48784482496.*--config.batch") as info:
        train(tiny, tmp_path, mesh)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(("rate", "warned"), [(1.0, True), (1e30, False)])
def test_what_is_compiled_says_so_first_and_a_long_run_on_cpu_is_warned_of(
    tiny, tmp_path, mesh, monkeypatch, rate, warned
):
    told = []
    monkeypatch.setattr(loop, "say", told.append)
    monkeypatch.setattr(loop, "_CPU_FLOPS", rate)
    tiny.steps = 1
    train(tiny, tmp_path, mesh)
    beginnings = [line.split()[0] for line in told]
    order = ["training", "data:", "compiling", *(["warning:"] if warned else []), "compiled"]
    assert beginnings[: len(order)] == order
    assert "1 steps take about" in told[2]


def test_a_run_that_another_version_wrote_is_refused(tiny, tmp_path, mesh, monkeypatch):
    monkeypatch.setattr(loop._Running, "until", lambda self, end, state, step: (state, step))  # beginning is enough
    train(tiny, tmp_path, mesh)
    manifest = json.loads((tmp_path / "ganx.json").read_text())
    (tmp_path / "ganx.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(ganx.GanxError, match="checkpoint format 99"):
        train(tiny, tmp_path, mesh)


def test_a_damaged_checkpoint_is_one_line_that_says_where_to_go_on(tiny, tmp_path, mesh):
    tiny.steps, tiny.checkpoint_every = 2, 1
    train(tiny, tmp_path, mesh)
    tiny.steps = 3
    for step, mend in ((2, "delete 2 there to go on from step 1"), (1, "start again elsewhere")):
        for path in (tmp_path / "checkpoints" / str(step) / "state").rglob("*"):
            if path.is_file():
                path.write_bytes(b"")
        with pytest.raises(ganx.GanxError, match=f"the checkpoint of step {step} .* is damaged .*{mend}") as info:
            train(tiny, tmp_path, mesh)
        assert "\n" not in str(info.value)
        shutil.rmtree(tmp_path / "checkpoints" / str(step))


def test_a_failing_save_is_one_line_and_leaves_the_checkpoint_before(tiny, tmp_path):
    """A file-size limit stands in for a full disk: every larger write fails."""
    script = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from ganx.errors import GanxError
from ganx.training import load_config
from ganx.training.loop import train
config = load_config({str(tmp_path / "config.py")!r})
train(config, {str(tmp_path / "run")!r})
config.steps = 4
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    train(config, {str(tmp_path / "run")!r})
except GanxError as error:
    assert "could not save a checkpoint" in str(error) and "\\n" not in str(error), str(error)
    sys.exit(2)
"""
    (tmp_path / "config.py").write_text(
        f"""
from ganx.training import default_config
def get_config():
    config = default_config()
    config.data.source = {tiny.data.source!r}
    config.model.generator = {{"width": 16, "latent": 64}}
    config.model.discriminator = {{"width": 4}}
    config.batch, config.steps, config.log_every, config.samples = 4, 2, 1, 4
    config.sample_every = config.checkpoint_every = 0
    return config
"""
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2, done.stderr[-3000:]
    gan = ganx.load(tmp_path / "run")
    with Checkpoints(tmp_path / "run", keep=9) as checkpoints:
        assert checkpoints.latest == 2
    assert np.isfinite(gan(gan.latents(jax.random.key(0), 2))).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch": 16}, "holds a run with batch=8"),
        ({"loss": "hinge"}, "holds a run with loss=non_saturating"),
        ({"batch": 16, "model": {"family": "mlp"}}, "holds a run with model.family=dcgan, this one has mlp"),
    ],
)
def test_another_configuration_in_the_same_folder_is_refused(tiny, tmp_path, mesh, monkeypatch, change, words):
    monkeypatch.setattr(loop._Running, "until", lambda self, end, state, step: (state, step))  # beginning is enough
    train(tiny, tmp_path, mesh)
    tiny.update(change)
    with pytest.raises(ganx.GanxError, match=words):
        train(tiny, tmp_path, mesh)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "adverserial"}, "did you mean 'adversarial'"),
        ({"loss": "hing"}, "did you mean 'hinge'"),
        ({"dtype": "float16"}, "bfloat16"),
        ({"style_mixing": 0.9}, "no style codes"),
        ({"data": {"source": "npz:/nowhere.npz"}}, "nowhere"),
        ({"model": {"family": "dcgn"}}, "did you mean 'dcgan'"),
        ({"model": {"generator": {"widht": 4}}}, "did you mean 'width'"),
        ({"model": {"discriminator": {"norm": 1}}}, "of type bool"),
        ({"data": {"source": "world:faces?size=28"}}, r"from 8 up, not 28; \?size=N resizes a source"),
        ({"model": {"generator": {"width": -3}}}, "width is -3; it is a number from 1 up"),
        ({"model": {"generator": {"width": 0}}}, "width is 0; it is a number from 1 up"),
        ({"model": {"generator": {"prior": "abc"}}}, "no dcgan generator prior named 'abc'"),
    ],
)
def test_bad_configurations_are_one_line(tiny, tmp_path, mesh, change, words):
    with tiny.unlocked():
        tiny.update(change)
    with pytest.raises(ganx.GanxError, match=words) as info:
        train(tiny, tmp_path, mesh)
    assert "\n" not in str(info.value)


def test_a_folder_that_cannot_be_written_is_one_line(tiny, tmp_path, mesh):
    (tmp_path / "file").write_text("")
    with pytest.raises(ganx.GanxError, match="cannot write to"):
        train(tiny, tmp_path / "file" / "run", mesh)


def test_training_never_imports_tensorflow(tiny, tmp_path, mesh):
    tiny.steps = 1
    train(tiny, tmp_path, mesh)
    assert "tensorflow" not in sys.modules
