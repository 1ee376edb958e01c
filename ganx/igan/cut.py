"""Where a generator is cut open: the features that the filters of the paper's "target layer" give."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from ganx.gan import Activation, Edits, Gan
from ganx.grouped import target_stage


@dataclasses.dataclass(frozen=True)
class Cut:
    """A stage of a generator, and whether a ReLU stands after it.

    The energy wants features that are not negative. Families with leaky units get a ReLU "after the target layer"
    (paper, Implementation details); everything attaches to its output, the later stages included.
    Later stages keep taking their own side inputs (styles, classes, noise, and the image so far where a family adds
    images up); what these carry of the picture does not pass through the filters and is not swapped.

    Attributes:
      stage: name of the stage.
      rectify: put a ReLU after it.
    """

    stage: str
    rectify: bool = False

    def lower(self, gan: Gan, z: jax.Array, **conditions: Any) -> Activation:
        """Everything that crosses the cut for latents `z`; `.features` is `[n, h, w, m]`."""
        return gan.until(self.stage, z, edits=self.edits(), **conditions)

    def upper(self, gan: Gan, act: Activation) -> jax.Array:
        """Images float32 `[n, H, W, C]` of what crosses the cut. `upper(lower(z))` equals `generate(z)`."""
        return gan.since(self.stage, act)

    def generate(self, gan: Gan, z: jax.Array, **conditions: Any) -> jax.Array:
        """Images float32 `[n, H, W, C]` of latents `z`."""
        return gan(z, edits=self.edits(), **conditions)

    def edits(self) -> Edits | None:
        """The ReLU as an edit, for `Gan(..., edits=...)`; None where there is none."""
        return {self.stage: jax.nn.relu} if self.rectify else None


def choose_cut(gan: Gan, stage: str = "", rectify: bool = False) -> Cut:
    """The cut at `stage`, or by default at the one that `ganx.grouped.target_stage` says.

    Raises:
      GanxError: no such stage, or one whose features are not maps `[h, w, m]` of more than four channels.
    """
    return Cut(target_stage(gan, stage), rectify)
