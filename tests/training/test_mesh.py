"""One device, eight devices, two processes: the same numbers, an even share of the work, no surprises."""

import os
import subprocess
import sys
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ganx
from ganx.data import open_feed, open_source
from ganx.models.initialise import initialise
from ganx.training.adversarial import adversarial
from ganx.training.loops import choose
from ganx.training.mesh import check_batch, make_mesh, replicate
from ganx.training.program import Program

ROOT = Path(__file__).parents[2]


def start(config, devices):
    mesh = make_mesh(devices)
    source = open_source(config.data.source)
    method = adversarial(config, source.spec, mesh)
    feed = open_feed(source, method.images, config.seed, mesh=mesh, flip=True)
    state = replicate(initialise(method.init, jax.random.key(0)), mesh)
    costs = []
    return state, Program(method, feed, mesh, lambda flops, _: costs.append(flops)), costs


def run(config, devices, steps=3):
    state, program, costs = start(config, devices)
    metrics = []
    for step in range(steps):
        state, now = program(state, step, 1)
        metrics.append({k: float(v) for k, v in now.items()})
    return state, metrics, costs[0]


@pytest.fixture(scope="module")
def wide(pictures):
    """Wide enough for convolutions, not bookkeeping, to make up the work."""
    from ganx.training import default_config

    config = default_config()
    config.data.source = pictures
    config.model.generator = {"width": 16, "latent": 8}
    config.model.discriminator = {"width": 16}
    config.batch = 128
    config.r1.gamma = 1.0
    config.r1.every = 2
    return config


@pytest.fixture(scope="module")
def one_and_eight(wide):
    return run(wide, jax.devices()[:1]), run(wide, jax.devices())


def test_one_and_eight_devices_agree(one_and_eight):
    (_, one, _), (_, eight, _) = one_and_eight
    for a, b in zip(one, eight, strict=True):
        for name in a:
            assert a[name] == pytest.approx(b[name], rel=2e-4, abs=1e-5), name


def test_work_per_device_is_an_eighth(one_and_eight):
    """Latents or noise that forget their sharding make every device do the whole batch, and nothing else shows it."""
    (*_, one), (*_, eight) = one_and_eight
    assert eight <= 1.05 / 8 * one


def test_state_is_replicated(one_and_eight):
    _, (state, *_) = one_and_eight
    assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state))


def test_nothing_recompiles_and_nothing_moves_behind_our_back(tiny):
    state, program, costs = start(tiny, jax.devices())
    for step in range(2):  # with and without the lazy penalty
        state, _ = program(state, step, 1)
    compiled = dict(program._programs)
    batches = [program._feed.batch(step) for step in range(2, 6)]
    with jax.transfer_guard("disallow"):
        for i, batch in enumerate(batches):
            plan = program._due(2 + i), 1
            state, metrics = compiled[plan](state, program._feed.constants, (batch,))
    assert len(costs) == len(program._programs) == 2  # nothing was compiled a second time
    chex.assert_tree_all_finite(metrics)


def test_a_dispatch_of_many_steps_compiles_no_more_on_cpu(tiny):
    """Unrolled, a hundred steps would be one program a hundred times as long, minutes of compilation."""
    state, program, costs = start(tiny, jax.devices()[:1])
    state, many = program(state, 0, 6)
    assert len(costs) == 2  # with and without the lazy penalty
    again, program, _ = start(tiny, jax.devices()[:1])
    for step in range(6):
        again, one = program(again, step, 1)
    chex.assert_trees_all_equal(jax.device_get((state, many)), jax.device_get((again, one)))


def test_rolled_up_steps_equal_steps_one_by_one(tiny):
    """What an accelerator runs (a scan with branches) and what a CPU runs (unrolled, chosen on the host) agree."""
    state, program, _ = start(tiny, jax.devices()[:1])
    for step in range(2):
        state, one = program(state, step, 1)
    for unroll in (True, False):
        with choose(unroll):
            again, program, _ = start(tiny, jax.devices()[:1])
            again, metrics = program(again, 0, 2)
        assert int(again.step) == 2
        chex.assert_trees_all_close(metrics, one, rtol=1e-4, atol=1e-5)
        chex.assert_trees_all_close(again.g.params, state.g.params, atol=1e-5)


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ganx.GanxError, match=r"--config\.batch=16"):
        check_batch(15, make_mesh())


WORKER = """
import json, sys
from ganx.training import load_config
from ganx.training.mesh import join_pod
port, index, config, workdir, source = sys.argv[1:]
join_pod(f"127.0.0.1:{port}", 2, int(index))
import jax
assert jax.device_count() == 8 and jax.local_device_count() == 4
from ganx.training.loop import train
run = train(load_config(config, [f"data.source={source}"]), workdir)
assert run.finished and run.step == 3
"""

CONFIG = """
from ganx.training import default_config
from ganx.models.initialise import initialise
def get_config():
    config = default_config()
    config.model.generator = {"width": 4, "latent": 4}
    config.model.discriminator = {"width": 4}
    config.batch, config.steps, config.log_every, config.samples = 8, 3, 1, 8
    config.sample_every = config.checkpoint_every = 0
    config.score.every, config.score.images = 2, 24
    return config
"""


def test_two_processes_train_as_one(tmp_path, pictures):
    import json

    from ganx.training import load_config
    from ganx.training.loop import train

    (tmp_path / "config.py").write_text(CONFIG)
    port = str(20000 + os.getpid() % 20000)
    flags = "--xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    environment["JAX_COMPILATION_CACHE_DIR"] = ""  # each compiles for itself, as on two hosts
    command = [sys.executable, "-c", WORKER, port]
    rest = [str(tmp_path / "config.py"), str(tmp_path / "two"), pictures]
    workers = [
        subprocess.Popen([*command, str(i), *rest], env=environment, stderr=subprocess.PIPE, text=True) for i in (0, 1)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=400)
        assert worker.returncode == 0, errors[-3000:]
    train(load_config(tmp_path / "config.py", [f"data.source={pictures}"]), tmp_path / "one")
    read = lambda name: [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").open()]  # noqa: E731
    one, two = read("one"), read("two")
    scores = [[line["FD-faces"] for line in lines if "FD-faces" in line] for lines in (one, two)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-3)
    assert len(scores[0]) == 1
    one, two = ([line for line in lines if "loss_d" in line] for lines in (one, two))
    assert len(one) == len(two) == 3  # only the first process writes
    for a, b in zip(one, two, strict=True):
        assert a["loss_d"] == pytest.approx(b["loss_d"], rel=2e-4)
        assert a["loss_g"] == pytest.approx(b["loss_g"], rel=2e-4)
    z = jax.random.normal(jax.random.key(0), (2, 4))
    np.testing.assert_allclose(ganx.load(tmp_path / "two")(z), ganx.load(tmp_path / "one")(z), atol=1e-4)
    assert jnp.isfinite(ganx.load(tmp_path / "two")(z)).all()
