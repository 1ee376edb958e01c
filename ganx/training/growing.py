"""Progressive growing (Karras et al. 2018, §2 and appendix A): the schedule, and the method of each of its phases.

Training starts at a few pixels. At every resolution the networks first fade their new layers in, then settle; batch
and learning rate follow the resolution, and Adam forgets what it knew whenever a phase begins. The level of detail is
a pure function of the step, so that a run resumes anywhere. Within a phase only the fraction of the fade changes, and
nothing but the layers in use is compiled: a phase at r pixels costs what a GAN of r pixels costs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data.example import SourceSpec
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.models.growing import Lod, blend, depth_of, mean_down, nearest_up
from ganx.training.adversarial import adversarial, build_game
from ganx.training.method import Batch, Method, Metrics
from ganx.training.state import Net, State

DEFAULTS: dict[str, Any] = {
    "first": 4,  # pixels to begin with
    "fade_kimg": 600.0,  # thousands of images during which new layers are faded in
    "stable_kimg": 600.0,  # and after which the next doubling begins
    "batch": (),  # pairs (pixels, batch); config.batch elsewhere
    "lr": (),  # pairs (pixels, learning rate) of both networks; config.g.lr and config.d.lr elsewhere
    "hold": 4,  # steps between two changes of the fade
}


@dataclasses.dataclass(frozen=True)
class Phase:
    """A stretch of training at one resolution.

    Attributes:
      resolution: pixels of the images in this phase; `level` of detail, final resolution / 2^level.
      fading: whether the last doubling is being faded in.
      batch: images a step.
      start, stop: its steps, from `start` up to but not including `stop`; the last phase has no stop.
      images: images shown before it, a multiple of `batch`.
    """

    resolution: int
    level: int
    fading: bool
    batch: int
    start: int
    stop: int | None
    images: int


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The phases of a run, in order, each starting where the one before stops."""

    phases: tuple[Phase, ...]
    fade_images: float
    hold: int

    def at(self, step: int) -> Phase:
        """The phase of a step."""
        return next(phase for phase in reversed(self.phases) if phase.start <= step)

    def lod(self, phase: Phase, step: int | jax.Array) -> Lod:
        """The level of detail at a step of `phase`, which may be traced: the fade falls from 1 to 0."""
        if not phase.fading:
            return Lod(phase.level)
        shown = (step - phase.start) // self.hold * self.hold * phase.batch
        return Lod(phase.level, 1.0 - jnp.minimum(shown / self.fade_images, 1.0))

    def steps(self, kimg: float) -> int:
        """Steps until `kimg` thousand images have been shown."""
        phase = next(phase for phase in reversed(self.phases) if phase.images < max(1000 * kimg, 1))
        return phase.start + math.ceil((1000 * kimg - phase.images) / phase.batch)


def schedule(
    resolution: int,
    batch: int,
    first: int = 4,
    fade_kimg: float = 600.0,
    stable_kimg: float = 600.0,
    batches: Mapping[int, int] | None = None,
    hold: int = 4,
) -> Schedule:
    """The phases from `first` pixels to `resolution`.

    Args:
      resolution: final pixels, a power of two as is `first`.
      batch: images a step where `batches` has no entry for the resolution.
      first: pixels to begin with; there is no fade at them.
      fade_kimg, stable_kimg: thousands of images in each phase; no fades where `fade_kimg` is 0.
      batches: images a step by resolution; each must divide the one before, so that no image is skipped.
      hold: steps between two changes of the fade.

    Raises:
      GanxError: a resolution, batch or length that makes no schedule.
    """
    top = depth_of(resolution)
    if first not in [4 << i for i in range(top + 1)]:
        raise GanxError(f"growing.first is a power of two from 4 to {resolution}, not {first}")
    if stable_kimg <= 0 or fade_kimg < 0 or hold < 1:
        raise GanxError("growing.stable_kimg is above 0, fade_kimg not below 0 and hold at least 1")
    phases: list[Phase] = []
    start = images = 0
    before = 0
    for level in range(depth_of(resolution) - int(math.log2(first)) + 2, -1, -1):
        pixels = resolution >> level
        size = (batches or {}).get(pixels, batch)
        if size < 1 or (before and before % size):
            raise GanxError(
                f"a batch of {size} at {pixels} pixels does not divide the {before} before; adjust growing.batch"
            )
        before = size
        for fading in (True, False) if pixels > first and fade_kimg else (False,):
            count = math.ceil(1000 * (fade_kimg if fading else stable_kimg) / size)
            last = level == 0 and not fading
            phases.append(Phase(pixels, level, fading, size, start, None if last else start + count, images))
            start, images = start + count, images + count * size
    return Schedule(tuple(phases), 1000 * fade_kimg, hold)


def config_schedule(config: ConfigDict, resolution: int) -> Schedule:
    """The schedule that `config.growing` describes for networks of that final resolution."""
    grow = config.growing
    return schedule(resolution, config.batch, grow.first, grow.fade_kimg, grow.stable_kimg, dict(grow.batch), grow.hold)


def add_growing(config: ConfigDict, **changes: Any) -> ConfigDict:
    """Gives a configuration the group `growing`: `DEFAULTS` with `changes`.

    Raises:
      GanxError: a change that is none of the defaults' names.
    """
    for name in changes:
        if name not in DEFAULTS:
            raise GanxError(f"growing has no {name!r}; it has {', '.join(DEFAULTS)}")
    with config.unlocked():
        config.growing = ConfigDict({**DEFAULTS, **changes}).lock()
    return config


def reals(images: jax.Array, lod: Lod) -> jax.Array:
    """Training images as networks at `lod` see them: `[n, R, R, C]` to `[n, r, r, C]`, r = R / 2^level.

    Averaged down, and during a fade mixed with their own halves doubled again, as the generator's images are.
    """
    for _ in range(lod.level):
        images = mean_down(images)
    return images if lod.fade is None else blend(images, nearest_up(mean_down(images)), lod.fade)


def restarted(net: Net, optimiser: optax.GradientTransformation, now: bool | jax.Array) -> Net:
    """The network with a fresh optimiser state if `now`."""
    fresh = optimiser.init(net.params)
    return dataclasses.replace(net, opt=jax.tree.map(lambda new, old: jnp.where(now, new, old), fresh, net.opt))


def methods(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> list[tuple[Phase, Method]]:
    """One method a phase, over one and the same state; images come in at full resolution, `phase.batch` a step.

    Errors as for `ganx.training.adversarial.build_game`, besides those of `schedule`.
    """
    plan = config_schedule(config, data.shape[0])
    return [(phase, _method(config, plan, phase, data, mesh)) for phase in plan.phases]


def phase_config(config: ConfigDict, phase: Phase) -> ConfigDict:
    """The configuration with the batch and the learning rates of a phase."""
    config = config.copy_and_resolve_references()
    config.batch = phase.batch
    lr = dict(config.growing.lr).get(phase.resolution)
    if lr is not None:
        config.g.lr = config.d.lr = lr
    return config


def _method(config: ConfigDict, plan: Schedule, phase: Phase, data: SourceSpec, mesh: Mesh | None) -> Method:
    config = phase_config(config, phase)
    game, base = build_game(config, data, mesh), adversarial(config, data, mesh)

    def step(state: State, batch: Batch, due: Mapping[str, Any]) -> tuple[State, Metrics]:
        lod = plan.lod(phase, state.step)
        players = dataclasses.replace(game.players, conditions={**game.players.conditions, "lod": lod})
        begins = state.step == phase.start
        state = dataclasses.replace(
            state, g=restarted(state.g, game.g_opt, begins), d=restarted(state.d, game.d_opt, begins)
        )
        grown = dataclasses.replace(game, players=players)
        state, metrics = grown.step(state, {**batch, "image": reals(batch["image"], lod)}, due)
        fade = 0.0 if lod.fade is None else lod.fade
        return state, {**metrics, "lod": jnp.asarray(phase.level + fade, jnp.float32)}

    def sample(state: State, key: jax.Array, n: int) -> jax.Array:
        gan: Gan = base.gan(state)
        labels = gan.labels(key, n)
        images = gan(gan.latents(key, n), label=labels, lod=plan.lod(phase, state.step))
        for _ in range(phase.level):
            images = nearest_up(images)
        return images

    return dataclasses.replace(base, step=step, sample=sample)
