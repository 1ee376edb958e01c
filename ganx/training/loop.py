"""The one loop, for every method: mesh, data, compilation, checkpoints, resuming, pre-emption, metrics, samples."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data import Feed, open_feed, open_source
from ganx.errors import GanxError, unknown
from ganx.models import module_fields
from ganx.store import Manifest, absolute, writable_folder
from ganx.training.adversarial import adversarial
from ganx.training.checkpoints import Checkpoints
from ganx.training.logs import Journal, LateMetrics, Progress, duration, say
from ganx.training.mesh import check_batch, make_mesh, replicated
from ganx.training.method import Method
from ganx.training.program import Program

METHODS: dict[str, Callable[..., Method]] = {"adversarial": adversarial}
_MAY_CHANGE = ("steps", "steps_per_call", "log_every", "sample_every", "samples", "checkpoint_every", "keep")
_CPU_FLOPS = 5e10  # a laptop core's float32 rate, for the warning below only


@dataclasses.dataclass(frozen=True)
class Run:
    """How a training ended: at `step`, `finished` or stopped by a signal; `ganx.load(workdir)` opens the result."""

    workdir: epath.Path
    step: int
    finished: bool


class Diverged(GanxError):
    """Training produced a number that is not finite."""


def train(config: ConfigDict, workdir: epath.PathLike, mesh: Mesh | None = None) -> Run:
    """Trains what the configuration describes, or goes on where the folder's last checkpoint stopped.

    Args:
      config: see `ganx.training.default_config`.
      workdir: the run's folder; visible to all hosts.
      mesh: the devices to use, one axis named "data"; all by default.

    Raises:
      GanxError: bad configuration, data or folder; a failed save; `Diverged` when a number is not finite.
    """
    workdir, mesh = absolute(workdir), make_mesh() if mesh is None else mesh
    source = open_source(config.data.source)
    method = _method(config)(config, source.spec, mesh)
    check_batch(config.batch, mesh)
    data = config.data
    feed = open_feed(source, method.images, config.seed, data.residency, mesh, on_error=data.on_error, flip=data.flip)
    _claim(workdir, config)
    first = jax.process_index() == 0
    with Checkpoints(workdir, config.keep) as checkpoints, StopSignal() as stop:
        state = _start(method, config, mesh, checkpoints)
        start = int(state.step)
        journal = Journal(workdir, writes=first)
        _introduce(config, source.spec.licence, feed, mesh, method, state, start)
        if start == 0:
            _write_manifest(workdir, config, source.spec, method, state)
        progress = Progress(start, config.steps, method.images, shows=first)
        try:
            step = _steps(config, method, feed, mesh, state, start, checkpoints, journal, progress, stop)
        finally:
            progress.close()
            journal.close()
            feed.close()
    if step < config.steps and first:
        say(f"stopped at step {step} and saved; run the same command to go on")
    return Run(workdir, step, step >= config.steps)


def _steps(
    config: ConfigDict,
    method: Method,
    feed: Feed,
    mesh: Mesh,
    state: Any,
    start: int,
    checkpoints: Checkpoints,
    journal: Journal,
    progress: Progress,
    stop: StopSignal,
) -> int:
    """From `start` to the end or to a signal; returns the step reached, which is on disk."""
    program = Program(method, feed, mesh, _on_compiled(config, mesh, progress))
    sampler = Sampler(method, feed, config, mesh, journal)

    def record(at: int, values: Mapping[str, float]) -> None:
        _check_finite(at, values, checkpoints.latest)
        journal.metrics(at, {**values, **progress.speed(at), "data_wait_s": feed.wait_seconds})
        progress.show(values)

    step, late = start, LateMetrics(record)
    if step == 0:
        sampler.reals()
    while step < config.steps and not stop.requested(step):
        count = min(config.steps_per_call, config.steps - step)
        state, metrics = program(state, step, count)
        step += count
        progress.update(step)
        if _passes(step, count, config.log_every):
            late.push(step, metrics)
        if _passes(step, count, config.sample_every):
            sampler.fakes(state, step)
        if _passes(step, count, config.checkpoint_every) and step < config.steps:
            _save(checkpoints, method, state, step, late, metrics)
    if step:
        if step > start:
            _save(checkpoints, method, state, step, late, metrics)
        checkpoints.wait()
        sampler.fakes(state, step)
    return step


def _passes(step: int, count: int, every: int) -> bool:
    """Whether one of the last `count` steps was a multiple of `every`."""
    return every > 0 and step // every > (step - count) // every


def _save(checkpoints: Checkpoints, method: Method, state: Any, step: int, late: LateMetrics, metrics: Any) -> None:
    """Saves, but only a state whose metrics are known to be finite."""
    late.push(step, metrics)
    late.flush()
    checkpoints.save(step, state, method.gan(state).variables, method.critic(state)[1])


def _check_finite(step: int, values: Mapping[str, float], saved: int | None) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            kept = f"the checkpoint of step {saved} is kept" if saved is not None else "nothing was saved yet"
            raise Diverged(
                f"{name} is {value} at step {step}; {kept}. Try a smaller --config.g.lr and --config.d.lr, "
                "a larger --config.r1.gamma, or --config.dtype=float32"
            )


class Sampler:
    """Sample sheets: a fixed set of latents through the averaged generator, and once the real images."""

    def __init__(self, method: Method, feed: Feed, config: ConfigDict, mesh: Mesh, journal: Journal):
        self._journal, self._feed = journal, feed
        self._key = jax.random.fold_in(jax.random.key(config.seed), 0x5A)
        self._sample = jax.jit(
            lambda state, key: method.sample(state, key, config.samples), out_shardings=replicated(mesh)
        )
        self._reals = jax.jit(
            lambda constants, batch: feed.materialise(constants, batch)["image"],
            out_shardings=replicated(mesh),
        )
        self._count = config.samples

    def fakes(self, state: Any, step: int) -> None:
        """Writes `samples/fakes-STEP.png`."""
        self._journal.images("fakes", step, np.asarray(self._sample(state, jax.random.clone(self._key))))

    def reals(self) -> None:
        """Writes `samples/reals-0.png`, what the discriminator sees."""
        images = self._reals(self._feed.constants, self._feed.batch(0))
        self._journal.images("reals", 0, np.asarray(images)[: self._count])


class StopSignal:
    """Turns SIGTERM and the first Ctrl-C into a request that the loop answers by saving and leaving.

    On a pod JAX itself watches for SIGTERM, so that all processes stop at the same step.
    """

    def __enter__(self) -> StopSignal:
        self._asked = False
        self._old = {}
        if threading.current_thread() is threading.main_thread() and jax.process_count() == 1:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._old[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: Any) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True

    def requested(self, step: int) -> bool:
        """Whether to stop before this step; all processes of a pod get the same answer."""
        if jax.process_count() == 1:
            return self._asked
        return multihost_utils.reached_preemption_sync_point(step)


def _method(config: ConfigDict) -> Callable[..., Method]:
    if config.method not in METHODS:
        raise unknown("method", config.method, METHODS)
    return METHODS[config.method]


def _start(method: Method, config: ConfigDict, mesh: Mesh, checkpoints: Checkpoints) -> Any:
    """A fresh state, or the last one saved, replicated over the mesh."""
    init = jax.jit(method.init, out_shardings=replicated(mesh))
    key = jax.random.key(config.seed)
    if checkpoints.latest is None:
        return init(key)
    like = jax.tree.map(lambda s: s.update(sharding=replicated(mesh)), jax.eval_shape(init, key))
    state = checkpoints.restore(like)
    if jax.process_index() == 0:
        say(f"going on from step {checkpoints.latest}")
    return state


def _claim(workdir: epath.Path, config: ConfigDict) -> None:
    """Makes the folder this run's own: writable, and with the same configuration if it holds a run already."""
    writable_folder(workdir)
    path, now = workdir / "config.json", json.loads(config.to_json_best_effort())
    if path.exists():
        before = json.loads(path.read_text())
        for name in sorted({**_flat(before), **_flat(now)}):
            old, new = _flat(before).get(name), _flat(now).get(name)
            if old != new and name not in _MAY_CHANGE:
                raise GanxError(
                    f"{workdir} holds a run with {name}={old}, this one has {new}; "
                    "choose another --workdir, or the same value to go on"
                )
    if jax.process_index() == 0:
        path.write_text(json.dumps(now, indent=1) + "\n")


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _write_manifest(workdir: epath.Path, config: ConfigDict, data: Any, method: Method, state: Any) -> None:
    if jax.process_index() == 0:
        gan, critic = method.gan(state), method.critic(state)[0]
        Manifest(
            "run",
            gan.spec.family,
            data.name,
            module_fields(gan.module),
            module_fields(critic),
            licence=data.licence,
        ).write(workdir)


def _introduce(
    config: ConfigDict, licence: str, feed: Feed, mesh: Mesh, method: Method, state: Any, start: int
) -> None:
    """Says what is about to run, and on what."""
    if jax.process_index():
        return
    count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))  # noqa: E731
    gan = method.gan(state)
    devices = mesh.devices.flat
    hosts = f" of {jax.process_count()} processes" if jax.process_count() > 1 else ""
    say(
        f"training {gan.spec.family} {gan.spec.resolution}x{gan.spec.resolution} "
        f"({count(gan.variables['params']) / 1e6:.2f} M parameters) on {mesh.size} x "
        f"{devices[0].device_kind}{hosts}: steps {start} to {config.steps}, {config.batch} images each"
    )
    note = f"; {licence}" if licence else ""
    say(f"data: {config.data.source}, {len(feed.source):,} images, {feed.residency}{note}")


def _on_compiled(config: ConfigDict, mesh: Mesh, progress: Progress) -> Callable[[float, float], None]:
    """What happens once a program is compiled; the first time, its cost is told."""
    first = jax.process_index() == 0

    def compiled(flops: float, seconds: float) -> None:
        nonlocal first
        progress.excuse(seconds)
        if not first:
            return
        first = False
        say(f"compiled in {seconds:.0f} s: {flops / 1e9:.2f} GFLOP a step and device")
        guess = flops * config.steps / _CPU_FLOPS
        if mesh.devices.flat[0].platform == "cpu" and guess > 12 * 3600:
            say(
                f"warning: no accelerator was found, and on this CPU the run may take about {duration(guess)}; "
                "install ganx[gpu] or ganx[tpu], or choose a smaller config"
            )

    return compiled
