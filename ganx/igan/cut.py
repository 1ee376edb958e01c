"""Where a generator is cut open: the features that the filters of the paper's "target layer" give."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from ganx.gan import Activation, Gan
from ganx.grouped import target_stage
from ganx.models.staged import StagedGenerator


@dataclasses.dataclass(frozen=True)
class Cut:
    """A stage of a generator.

    Later stages keep taking their own side inputs (styles, classes, noise, and the image so far where a family adds
    images up); what these carry of the picture does not pass through the filters and is not swapped.

    Attributes:
      stage: name of the stage.
    """

    stage: str

    def lower(self, gan: Gan, z: jax.Array, **conditions: Any) -> Activation:
        """Everything that crosses the cut for latents `z`; `.features` is `[n, h, w, m]`."""
        return gan.until(self.stage, z, **conditions)

    def upper(self, gan: Gan, act: Activation) -> jax.Array:
        """Images float32 `[n, H, W, C]` of what crosses the cut. `upper(lower(z))` is the GAN's own image."""
        return gan.since(self.stage, act)


def choose_cut(gan: Gan, stage: str = "") -> Cut:
    """The cut at `stage`, or by default at the one that `ganx.grouped.target_stage` says.

    Raises:
      GanxError: no such stage, or one whose features are not maps `[h, w, m]` of more than four channels.
    """
    return Cut(target_stage(gan, stage))


def rectified(generator: StagedGenerator, stage: str) -> StagedGenerator:
    """The network with a ReLU after a stage, and the same variables.

    The energy wants features that are not negative. Families with leaky units get a ReLU "after the target layer"
    (paper, Implementation details); everything attaches to its output, the later stages included. It is a field of
    the network, so it is saved with it.
    """
    return generator.clone(rectified=stage)
