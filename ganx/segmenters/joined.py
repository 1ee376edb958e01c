"""Several segmenters as one."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from ganx.errors import GanxError
from ganx.segment import NONE, Segmenter, SoftSegmenter, channels, note


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Joined:
    """The channels of several segmenters side by side, their labels one block after the other; 0 is none in all.

    All of them give labels of one size.
    """

    parts: tuple[Segmenter, ...]

    @property
    def on_device(self) -> bool:
        return all(part.on_device for part in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        return (NONE, *(name for part in self.parts for name in part.names[1:]))

    @property
    def categories(self) -> tuple[str, ...]:
        return ("object", *(kind for part in self.parts for kind in part.categories[1:]))

    def __call__(self, images: Any) -> Any:
        """int32 `[n, K, h, w]`, K the sum of the parts' channels."""
        blocks = [channels(part(images)) for part in self.parts]
        xp = jax.numpy if self.on_device else np
        shifted = [xp.where(block > 0, block + start, 0) for block, start in zip(blocks, self._starts(), strict=True)]
        return xp.concatenate(shifted, 1)

    def probability(self, images: jax.Array, label: int) -> jax.Array:
        """That of the segmenter whose label it is, float32 `[n, h, w]`."""
        for part, start in zip(reversed(self.parts), reversed(self._starts()), strict=True):
            if label > start:
                if not isinstance(part, SoftSegmenter):
                    raise GanxError(f"the segmenter of {self.names[label]!r} gives no probabilities; choose another")
                return part.probability(images, label - start)
        raise GanxError("label 0 stands for nothing known; ask for a label from 1 up")

    @property
    def note(self) -> str:
        """What the parts say of their own accuracy."""
        return "; ".join(filter(None, (note(part) for part in self.parts)))

    def _starts(self) -> list[int]:
        starts = [0]
        for part in self.parts[:-1]:
            starts.append(starts[-1] + len(part.names) - 1)
        return starts
