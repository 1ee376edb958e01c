"""The one loop, for every method: mesh, data, compilation, checkpoints, resuming, pre-emption, metrics, samples."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
from etils import epath
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.convert import origin
from ganx.data import Feed, Source, SourceSpec, open_feed, open_source
from ganx.errors import GanxError, one_line
from ganx.models import module_fields
from ganx.models.initialise import initialise
from ganx.store import Manifest, absolute, find
from ganx.training import growing
from ganx.training.adversarial import adversarial
from ganx.training.checkpoints import Checkpoints
from ganx.training.claim import claim
from ganx.training.config import check_ranges
from ganx.training.logs import Journal, LateMetrics, Progress, duration, say
from ganx.training.mesh import make_mesh, replicate, replicated
from ganx.training.method import Method, Span, find_method
from ganx.training.program import Program
from ganx.training.samples import Sampler
from ganx.training.stopping import StopSignal

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
    check_ranges(config)
    workdir, mesh = absolute(workdir), make_mesh() if mesh is None else mesh
    source = open_source(config.data.source)
    spans = _spans(config, source.spec, mesh)
    claim(workdir, config)
    first = jax.process_index() == 0
    with Checkpoints(workdir, config.keep) as checkpoints, StopSignal() as stop:
        with _in_memory():
            state = _start(spans[0].method, config, mesh, checkpoints)
        start = int(state.step)
        journal = Journal(workdir, writes=first)
        progress = Progress(start, config.steps, spans[0].method.images, shows=first)
        session = _Session(workdir, config, source, mesh, checkpoints, journal, progress, stop)
        try:
            with _in_memory():
                step = _steps(session, spans, state, start)
        finally:
            progress.close()
            journal.close()
    if step < config.steps and first:
        say(f"stopped at step {step} and saved; run the same command to go on")
    return Run(workdir, step, step >= config.steps)


@contextlib.contextmanager
def _in_memory() -> Iterator[None]:
    """Turns running out of memory into one line."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise GanxError(
            f"not enough memory ({one_line(error)}); take a smaller --config.batch, or cut it into parts with "
            "--config.accumulate=N"
        ) from error


def _spans(config: ConfigDict, data: SourceSpec, mesh: Mesh) -> list[Span]:
    """The methods of a run and the steps that each is for."""
    if config.method != "adversarial":
        return find_method(config.method)(config, data, mesh)
    if "growing" not in config:
        return [Span(adversarial(config, data, mesh))]
    phases = growing.methods(config, data, mesh)
    return [Span(method, phase.start, phase.stop, phase.images // phase.batch) for phase, method in phases]


@dataclasses.dataclass(frozen=True)
class _Session:
    """What all spans of a run share."""

    workdir: epath.Path
    config: ConfigDict
    source: Source
    mesh: Mesh
    checkpoints: Checkpoints
    journal: Journal
    progress: Progress
    stop: StopSignal


def _steps(session: _Session, spans: list[Span], state: Any, start: int) -> int:
    """From `start` to the end or to a signal; returns the step reached, which is on disk."""
    step, steps = start, session.config.steps
    for span in (span for span in spans if span.stop is None or span.stop > start):
        with _feed(session, span.method) as feed:
            run, end = _Running(session, span, feed), min(steps, span.stop or steps)
            if step == 0:
                run.reals()
            if step == start:
                _begin(session, feed, span.method, state, start)
            state, step = run.until(end, state, step)
            if step >= steps or step < end:
                run.finish(state, step, start)
                break
    return step


def _feed(session: _Session, method: Method) -> Feed:
    config, data = session.config, session.config.data
    options = {"on_error": data.on_error, "flip": data.flip, "labels": method.labels}
    return open_feed(session.source, method.images, config.seed, data.residency, session.mesh, **options)


class _Running:
    """One span of a run: its program, its feed, and what is written on the way."""

    def __init__(self, session: _Session, span: Span, feed: Feed):
        config, mesh, self._session = session.config, session.mesh, session
        self._method, self._feed = span.method, feed
        compiled, lowered = _on_compiled(session.progress), _on_lowered(config, mesh)
        self._program = Program(span.method, feed, mesh, compiled, span.batches - span.start, lowered)
        self._sampler = Sampler(span.method, feed, config, mesh, session.journal)
        self._late = LateMetrics(self._record)
        self._metrics: Any = {}
        self._warned = jax.process_index() != 0
        self._score = _schedule(session, span.method) if config.score.every else None

    def until(self, end: int, state: Any, step: int) -> tuple[Any, int]:
        """Runs up to step `end`, or to a signal."""
        config = self._session.config
        while step < end and not self._session.stop.requested(step):
            count = min(config.steps_per_call, end - step)
            state, self._metrics = self._program(state, step, count)
            step += count
            self._session.progress.update(step)
            if _passes(step, count, config.log_every):
                self._late.push(step, self._metrics)
            if _passes(step, count, config.sample_every):
                self._sampler.fakes(state, step)
            if self._score and _passes(step, count, config.score.every):
                self._score(state, step)
            if _passes(step, count, config.checkpoint_every) and step < config.steps:
                self._save(state, step)
        self._late.flush()
        if self._score:
            self._score.close()
        return state, step

    def reals(self) -> None:
        """Writes a sheet of real images, which shows that there are any."""
        self._sampler.reals()

    def finish(self, state: Any, step: int, start: int) -> None:
        """Leaves everything on disk."""
        if step > start:
            self._save(state, step)
        if step:
            self._session.checkpoints.wait()
            self._sampler.fakes(state, step)

    def _save(self, state: Any, step: int) -> None:
        """Saves, but only a state whose metrics are known to be finite."""
        if self._metrics:
            self._late.push(step, self._metrics)
        self._late.flush()
        method = self._method
        self._session.checkpoints.save(step, state, method.gan(state).variables, method.critic(state)[1])

    def _record(self, at: int, values: Mapping[str, float]) -> None:
        session = self._session
        _check_finite(at, values, session.checkpoints.latest, session.config.dtype)
        waited = self._feed.wait_seconds
        session.journal.metrics(at, {**values, **session.progress.speed(at), "data_wait_s": waited})
        session.progress.show(values)
        told = None if self._warned else self._method.warn(at, values)
        if told:
            self._warned = True
            say(f"warning: {told}")


def _schedule(session: _Session, method: Method) -> Any:
    """Scores now and then while the run goes on, `ganx.metrics.schedule`."""
    from ganx.metrics.features import load_features  # they are one floor with training, and most runs need neither
    from ganx.metrics.schedule import Schedule

    score, mesh = session.config.score, session.mesh
    net, batch = load_features(score.net), -(-64 // mesh.size) * mesh.size
    sink = session.journal.metrics
    return Schedule(method.sample, session.source, net, sink, images=score.images, batch=batch, mesh=mesh)


def _passes(step: int, count: int, every: int) -> bool:
    """Whether one of the last `count` steps was a multiple of `every`."""
    return every > 0 and step // every > (step - count) // every


def _check_finite(step: int, values: Mapping[str, float], saved: int | None, dtype: str) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            kept = f"the checkpoint of step {saved} is kept" if saved is not None else "nothing was saved yet"
            rough = "" if dtype == "float32" else ", or --config.dtype=float32 and another --workdir"
            raise Diverged(
                f"the metric {name!r} is {value} at step {step}; {kept}. Try a smaller --config.g.lr and "
                f"--config.d.lr, a larger --config.r1.gamma{rough}"
            )


def _start(method: Method, config: ConfigDict, mesh: Mesh, checkpoints: Checkpoints) -> Any:
    """A fresh state (or one that starts from trained weights), or the last one saved, replicated over the mesh."""
    key = jax.random.key(config.seed)
    if checkpoints.latest is None:
        state = replicate(initialise(method.init, key), mesh)
        return method.start(state) if method.start else state
    like = jax.tree.map(lambda s: s.update(sharding=replicated(mesh)), jax.eval_shape(method.init, key))
    state = checkpoints.restore(like)
    if jax.process_index() == 0:
        say(f"going on from step {checkpoints.latest}")
    return state


def _begin(session: _Session, feed: Feed, method: Method, state: Any, start: int) -> None:
    """Once all that was asked for is there: says what is about to run, and writes down what the folder holds."""
    if jax.process_index():
        return
    _introduce(session.config, feed, session.mesh, method, state, start)
    now = json.loads(session.config.to_json_best_effort())
    (session.workdir / "config.json").write_text(json.dumps(now, indent=1) + "\n")
    if start == 0:
        gan, critic, data = method.gan(state), method.critic(state)[0], feed.source.spec
        fields = module_fields(gan.module), module_fields(critic)
        Manifest("run", gan.spec.family, data.name, *fields, licence=data.licence).write(session.workdir)
        if session.config.method == "adversarial" and session.config.init:
            origin.copy(find(session.config.init), session.workdir)  # so that a tuned GAN goes back under its old names


def _introduce(config: ConfigDict, feed: Feed, mesh: Mesh, method: Method, state: Any, start: int) -> None:
    """Says what is about to run, and on what."""
    count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))  # noqa: E731
    gan = method.gan(state)
    devices = mesh.devices.flat
    hosts = f" of {jax.process_count()} processes" if jax.process_count() > 1 else ""
    say(
        f"training {gan.spec.family} {gan.spec.resolution}x{gan.spec.resolution} "
        f"({count(gan.variables['params']) / 1e6:.2f} M parameters) on {mesh.size} x "
        f"{devices[0].device_kind}{hosts}: steps {start} to {config.steps}, {config.batch} images each"
    )
    licence = feed.source.spec.licence
    note = f"; {licence}" if licence else ""
    note += f"; {gan.spec.classes} classes" if gan.spec.classes else ""
    say(f"data: {config.data.source}, {len(feed.source):,} images, {feed.residency}{note}")


def _on_lowered(config: ConfigDict, mesh: Mesh) -> Callable[[float], None]:
    """What is said before a program is compiled, the first time; on CPU also about how long the run will take."""
    first = jax.process_index() == 0
    on_cpu = mesh.devices.flat[0].platform == "cpu"

    def lowered(flops: float) -> None:
        nonlocal first
        if not first:
            return
        first = False
        guess = flops * config.steps / _CPU_FLOPS
        about = f"; {config.steps} steps take about {duration(guess)} at a CPU's usual rate" if on_cpu else ""
        say(f"compiling a step{about}")
        if on_cpu and guess > 12 * 3600:
            say(
                "warning: no accelerator was found, and on this CPU the run will take that long or longer; "
                "install ganx[gpu] or ganx[tpu], or choose a smaller config"
            )

    return lowered


def _on_compiled(progress: Progress) -> Callable[[float, float], None]:
    """What happens once a program is compiled; the first time, its cost is told."""
    first = jax.process_index() == 0

    def compiled(flops: float, seconds: float) -> None:
        nonlocal first
        progress.excuse(seconds)
        if first:
            say(f"compiled in {seconds:.0f} s: {flops / 1e9:.2f} GFLOP a step and device")
        first = False

    return compiled
