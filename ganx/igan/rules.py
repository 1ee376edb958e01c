"""When an interpretability update runs, and the rules that hold during it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ganx.errors import GanxError, unknown
from ganx.igan.energy import EnergyForm
from ganx.igan.filters import NORMALIZE
from ganx.igan.guidance import GuidanceRule
from ganx.igan.langevin import LangevinRule
from ganx.igan.weights import WeightRule, lambda3

UNITS = ("gan_step", "update")


@dataclasses.dataclass(frozen=True)
class Lambda3:
    """The decay of λ3 (paper: 3e-2 to 3e-6, during 500 or 1000 "batches").

    Attributes:
      start, end: λ3 at the first update and when the decay is over.
      horizon: length of the decay.
      unit: what the horizon counts: "gan_step" (our reading of the paper) or "update" of the interpretability part.
    """

    start: float = 3e-2
    end: float = 3e-6
    horizon: float = 500.0
    unit: str = "gan_step"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise unknown("unit of config.igan.lambda3", self.unit, UNITS)
        if self.start <= 0 or self.end <= 0 or self.horizon <= 0:
            raise GanxError("config.igan.lambda3: start, end and horizon must be positive")


@dataclasses.dataclass(frozen=True)
class PartitionRule:
    """How filters are grouped; only the model is the paper's, all of these are ours.

    Attributes:
      images: generated images that the statistics are taken over, rounded up to whole batches.
      batch: how many of them go through the generator at once.
      normalize: "rms" or "none" (as in the paper), see `filters.scaled`.
      restarts, iterations: of the first, cold fit.
      refit: EM iterations of each later, warm fit.
      prior, floor: see `mixture.fit`.
      freeze: whether groups are final once λ3 has decayed, see `partition.hold`.
    """

    images: int = 256
    batch: int = 256
    normalize: str = "rms"
    restarts: int = 5
    iterations: int = 30
    refit: int = 5
    prior: float = 1.0
    floor: float = 1e-3
    freeze: bool = True

    def __post_init__(self) -> None:
        if self.normalize not in NORMALIZE:
            raise unknown("normalization", self.normalize, NORMALIZE)


@dataclasses.dataclass(frozen=True)
class Alternation:
    """When updates run: before the GAN step of every `every`-th step, but the first.

    Attributes:
      every: T, GAN steps for each update (paper: 50 for BigGAN, 100 for StyleGAN).
      updates: after so many updates only the GAN trains; 0 for no such end (the paper gives none).
      recover: GAN steps before the first update (ours: an inserted ReLU or a fresh discriminator must settle).
    """

    every: int
    updates: int
    recover: int

    def __post_init__(self) -> None:
        if self.every < 1:
            raise GanxError(f"config.igan.every={self.every}: there must be at least one GAN step between updates")
        if min(self.updates, self.recover) < 0:
            raise GanxError("config.igan: updates and recover cannot be negative")

    def active(self, step: jax.Array, done: jax.Array) -> jax.Array:
        """Whether an update that is due at `step`, after `done` others, runs: a bool scalar."""
        return (step >= max(self.recover, 1)) & self.guides(done)

    def guides(self, done: jax.Array) -> jax.Array:
        """Whether the GAN is not left to itself yet after `done` updates: a bool scalar."""
        return done < self.updates if self.updates else jnp.bool_(True)


@dataclasses.dataclass(frozen=True)
class Rules:
    """All that is fixed for a run of interpretability training, besides the networks.

    `groups` is C; `latents` the batch N of the energy and of Langevin sampling; `smooth` see `smooth.smoothed`;
    `hybrids` see `played.CutPlayers`.
    """

    groups: int
    latents: int
    smooth: float
    hybrids: float
    alternation: Alternation
    lambda3: Lambda3
    weights: WeightRule
    guidance: GuidanceRule
    langevin: LangevinRule
    energy: EnergyForm
    partition: PartitionRule

    def push(self, done: jax.Array) -> jax.Array:
        """λ3 after `done` updates."""
        return lambda3(self._elapsed(done), self.lambda3.horizon, self.lambda3.start, self.lambda3.end)

    def decayed(self, done: jax.Array) -> jax.Array:
        """Whether λ3 has reached its end after `done` updates."""
        return jnp.asarray(self._elapsed(done) >= self.lambda3.horizon)

    def _elapsed(self, done: jax.Array) -> jax.Array:
        return done * (self.alternation.every if self.lambda3.unit == "gan_step" else 1)


PARTS: dict[str, type[Any]] = {
    "lambda3": Lambda3,
    "weights": WeightRule,
    "guidance": GuidanceRule,
    "langevin": LangevinRule,
    "energy": EnergyForm,
    "partition": PartitionRule,
}
"""What each group of `config.igan` is read as; its keys are the fields of the class."""


def build_rules(config: ConfigDict) -> Rules:
    """The rules that a configuration describes.

    Raises:
      GanxError: an unknown choice or a number that makes no sense.
    """
    igan = config.igan
    alternation = Alternation(igan.every, igan.updates, igan.recover)
    if not 0 <= igan.settle < config.steps:
        raise GanxError(f"config.igan.settle={igan.settle}: so many of the run's {config.steps} steps, fewer than all")
    if igan.smooth < 0:
        raise GanxError(f"config.igan.smooth={igan.smooth}: a width in positions of the layer, 0 for none")
    if not 0 <= igan.hybrids <= 1:
        raise GanxError(f"config.igan.hybrids={igan.hybrids}: a share of the images, 0 to 1")
    parts = {name: kind(**igan[name].to_dict()) for name, kind in PARTS.items()}
    return Rules(igan.groups, igan.latents or config.batch, igan.smooth, igan.hybrids, alternation, **parts)
