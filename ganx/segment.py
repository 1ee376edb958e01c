"""What a segmenter is: images in, one or several labels a pixel out.

    labels = segmenter(images)         # images [n, H, W, C] in [-1, 1]; labels int32 [n, h, w] or [n, K, h, w]
    segmenter.names[labels]            # label 0 is "none": nothing is known of that pixel

`ganx.segmenters` holds the ones that ganx knows. Those with `on_device` are pytrees and pure, so they pass into `jit`
as arguments and run inside it; any other runs on the host between two programs.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from ganx.errors import GanxError, unknown

NONE = "none"
"""Name of label 0."""


@runtime_checkable
class Segmenter(Protocol):
    """Names pixels.

    Attributes:
      names: name of every label; `names[0]` is "none".
      categories: category of every label, such as "object", "part", "material" or "color"; same length.
      on_device: whether it may be called inside `jit`.
    """

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def categories(self) -> tuple[str, ...]: ...

    @property
    def on_device(self) -> bool: ...

    def __call__(self, images: jax.Array) -> jax.Array:
        """int32 `[n, h, w]`, or `[n, K, h, w]` for K labels a pixel, of images `[n, H, W, C]` in [-1, 1]."""
        ...


@runtime_checkable
class SoftSegmenter(Segmenter, Protocol):
    """A segmenter that also says how sure it is, differentiably: what optimising through it needs."""

    def probability(self, images: jax.Array, label: int) -> jax.Array:
        """Score of one label at every pixel, float32 `[n, h, w]`, differentiable in the images."""
        ...


def note(segmenter: Segmenter) -> str:
    """What a segmenter that was trained here says of its own accuracy; "" for any other."""
    return str(getattr(segmenter, "note", ""))


def channels(labels: Any) -> Any:
    """Labels with their channel axis: `[n, h, w]` becomes `[n, 1, h, w]`, `[n, K, h, w]` stays."""
    return labels[:, None] if labels.ndim == 3 else labels


def index_of(segmenter: Segmenter, name: str | int, category: str | None = None) -> int:
    """Number of a label, by its name and, where names repeat, its category; a number is checked and passed on."""
    if isinstance(name, int):
        if not 0 < name < len(segmenter.names):
            raise GanxError(f"there is no label {name}; this segmenter has labels 1 to {len(segmenter.names) - 1}")
        return name
    for i, (label, kind) in enumerate(zip(segmenter.names, segmenter.categories, strict=True)):
        if i and label == name and category in (None, kind):
            return i
    raise unknown("label", name, segmenter.names[1:])


def membership(labels: Any, index: int) -> Any:
    """Where any channel carries a label: bool `[n, h, w]`."""
    return (channels(labels) == index).any(1)


def checked(labels: Any, segmenter: Segmenter, n: int) -> np.ndarray:
    """Labels of `n` images as numpy int32 `[n, K, h, w]`, or a `GanxError` that says what a segmenter did wrong."""
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise GanxError(f"a segmenter returns whole numbers, not {labels.dtype}; take the arg max of its scores")
    if labels.ndim not in (3, 4) or len(labels) != n:
        raise GanxError(f"a segmenter returns labels [n, h, w] or [n, K, h, w], not {list(labels.shape)} for n = {n}")
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0 or high >= len(segmenter.names):
        raise GanxError(
            f"the segmenter returned label {low if low < 0 else high}, but it names 0 to {len(segmenter.names) - 1}; "
            "0 is none: a network without a background class has its labels shifted by one"
        )
    return channels(labels).astype(np.int32)
