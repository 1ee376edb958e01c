"""One example, one interface: what every source of images yields and offers."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import jax
import numpy as np


@dataclasses.dataclass(frozen=True)
class Example:
    """One example or a batch of them; leaves are numpy or jax arrays. A pytree.

    A batch has a leading axis `n` on every leaf.

    Attributes:
      image: uint8 `[H, W, C]`; for points in the plane (`world:gaussians`) float32 `[2]`.
      label: int32 scalar, -1 where there is none.
      attrs: int32 scalar by attribute name, -1 where it is not known; empty if the source has no attributes.
      mask: uint8 `[H, W]` class indices, 255 where the class is unknown; None if the source has no masks.
      index: int32 scalar, the example's position in its source.
    """

    image: Any
    label: Any
    attrs: dict[str, Any]
    mask: Any
    index: Any


jax.tree_util.register_dataclass(Example, data_fields=["image", "label", "attrs", "mask", "index"], meta_fields=[])


@dataclasses.dataclass(frozen=True)
class SourceSpec:
    """What is known about a source without reading it.

    Attributes:
      name: the string that opens the source again, such as "world:faces?seed=0&size=32".
      shape: shape of one image, `(H, W, C)`, or `(2,)` for points in the plane.
      labels: names of the label's values; empty if there are no labels.
      attrs: names of each attribute's values, by attribute name.
      masks: class names, in the order of the mask's indices; empty if there are no masks.
      licence: terms under which the images may be used, one line.
      rendered: whether examples are pure functions of their index that the device can draw by itself.
    """

    name: str
    shape: tuple[int, ...]
    labels: tuple[str, ...] = ()
    attrs: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    masks: tuple[str, ...] = ()
    licence: str = ""
    rendered: bool = False

    @property
    def classes(self) -> int:
        """How many classes the labels tell apart; 0 if there are none."""
        return len(self.labels)


class Source(Protocol):
    """Random access to examples."""

    @property
    def spec(self) -> SourceSpec:
        """What is known without reading an example."""

    def __len__(self) -> int:
        """How many examples there are."""

    def __getitem__(self, index: int) -> Example:
        """One example, as numpy arrays; IndexError outside [0, len)."""

    def gather(self, indices: np.ndarray) -> Example:
        """The examples at `indices`, int `[n]`, as one batch of numpy arrays: the same as stacking `[i]`."""
