"""Where a generator is cut open: the features that the filters of the paper's "target layer" give."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from ganx.errors import GanxError
from ganx.gan import Activation, Edits, Gan

_IMAGE_CHANNELS = 4  # a stage with no more channels gives images, not features
_SIDE = 32  # the paper's target layer, in both of its experiments


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
    """The cut at `stage`, or by default at the last layer of the paper's size (which layer of that size is ours).

    The paper takes features of 32 x 32 for images of 64 and 128; we take at most half of the image, and leave at least
    one stage between the features and the one that makes the image: filters that are mixed into colours at once stand
    for strokes and colours, not for parts. So a DCGAN of 64 pixels is cut at 16 x 16, a BigGAN at 32 x 32.

    Raises:
      GanxError: no such stage, or one whose features are not maps `[h, w, m]` of more than four channels.
    """
    fits = [name for name, shape in gan.shapes.items() if len(shape) == 3 and shape[2] > _IMAGE_CHANNELS]
    if not stage:
        side = min(_SIDE, gan.spec.resolution // 2)
        early = [name for name in fits if gan.stages.index(name) < len(gan.stages) - 2] or fits
        small = [name for name in early if gan.shapes[name][0] <= side]
        if not small:
            raise GanxError(f"no stage of this {gan.spec.family} gives maps of at most {side} pixels; name a stage")
        stage = max(small, key=lambda name: (gan.shapes[name][0], gan.stages.index(name)))
    if stage not in fits:
        raise GanxError(f"the stage {stage!r} gives no maps of many filters; cut at one of: {', '.join(fits)}")
    return Cut(stage, rectify)
