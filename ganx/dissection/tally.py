"""Counting where units and labels meet, exact in integers, in the form that the backend runs well (§12.1).

On accelerators a batch is one matrix product of 0/1 operands, exact in float32 below 2^24 pixels. On CPU the masks of
an image are packed to 32 pixels a word and met only with the labels that this image shows: AND, then count the bits.
Both give the same integers, whatever the batch or the number of devices.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx.dissection.scores import Counts
from ganx.dissection.upsample import upsample
from ganx.errors import GanxError

KERNELS = ("dense", "packed")
EXACT = 2**24
"""Pixels that one float32 sum of ones can count."""


def empty(label_category: np.ndarray, units: int) -> Counts:
    """Counts of no image at all."""
    kinds = int(label_category.max(initial=0)) + 1
    labels = len(label_category)
    zeros = functools.partial(np.zeros, dtype=np.int64)
    area = (zeros((labels, units)), zeros(labels), zeros((kinds, units)), zeros(kinds))
    return Counts(*area, np.asarray(label_category))


def tally(
    features: Any,
    labels: Any,
    thresholds: np.ndarray,
    label_category: np.ndarray,
    weights: Any = None,
    padding: str = "border",
    kernel: str | None = None,
) -> Counts:
    """Counts of one batch.

    Args:
      features: `[n, h, w, U]`.
      labels: int `[n, K, H, W]`, in [0, L).
      thresholds: `[U]`; a pixel is active where the upsampled feature is greater.
      label_category: int `[L]`.
      weights: bool `[n]`, which images count; all of them by default. Padding of a last batch does not.
      kernel: "dense" or "packed"; by default what suits the backend.
    """
    if kernel not in (None, *KERNELS):
        raise GanxError(f"no tally kernel named {kernel!r}; choose from: {', '.join(KERNELS)}")
    kernel = kernel or ("packed" if jax.default_backend() == "cpu" else "dense")
    keep = np.ones(len(features), bool) if weights is None else np.asarray(weights, bool)
    thresholds = np.asarray(thresholds, np.float32)
    if kernel == "packed":
        return _packed(features, np.asarray(labels), thresholds, np.asarray(label_category), keep, padding)
    parts = _dense(features, labels, thresholds, tuple(np.asarray(label_category).tolist()), jnp.asarray(keep), padding)
    intersection, label_area, area, seen = (np.asarray(part).astype(np.int64) for part in parts)
    total = seen.astype(np.int64).sum(0) * int(np.prod(labels.shape[2:]))
    return Counts(intersection, label_area, seen.T @ area, total, np.asarray(label_category))


@functools.partial(jax.jit, static_argnames=("category", "padding"))
def _dense(
    features: jax.Array,
    labels: jax.Array,
    thresholds: jax.Array,
    category: tuple[int, ...],
    keep: jax.Array,
    padding: str,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Intersections `[L, U]`, label areas `[L]`, unit areas `[n, U]` and seen categories `[n, C]`."""
    n, k, height, wide = labels.shape
    if n * height * wide >= EXACT:
        raise GanxError(f"a batch of {n} images has over {EXACT} pixels, too many to count exactly; take a smaller one")
    count, kinds = len(category), max(category, default=0) + 1
    active = upsample(features, (height, wide), padding) > thresholds[:, None, None]
    active = (active & keep[:, None, None, None]).reshape(n, len(thresholds), -1)
    flat = jnp.where(keep[:, None, None], labels.reshape(n, k, -1), -1)
    hot = flat[:, :, None, :] == jnp.arange(count)[:, None]  # [n, k, L, pixels]
    shown = hot.any(1)
    dot = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
    both = dot("blp,bup->lu", shown.astype(jnp.bfloat16), active.astype(jnp.bfloat16)).at[0].set(0)
    present = shown.any(-1)  # [n, L]
    kind = jnp.asarray(category)[:, None] == jnp.arange(kinds)
    seen = (present[:, :, None] & kind).any(1)
    area = active.sum(-1, dtype=jnp.int32)
    return both.astype(jnp.int32), hot.sum((0, 1, 3), dtype=jnp.int32), area, seen.astype(jnp.int32)


def _packed(
    features: Any, labels: np.ndarray, thresholds: np.ndarray, category: np.ndarray, keep: np.ndarray, padding: str
) -> Counts:
    total = empty(category, len(thresholds))
    for i in np.flatnonzero(keep):
        words = np.asarray(_words(features[i], thresholds, labels.shape[2:], padding))
        _meet(total, words, labels[i])
    return total


@functools.partial(jax.jit, static_argnames=("size", "padding"))
def _words(features: jax.Array, thresholds: jax.Array, size: tuple[int, int], padding: str) -> jax.Array:
    """The mask of every unit in one image, 32 pixels a word: uint32 `[U, ceil(H W / 32)]`."""
    active = upsample(features, size, padding) > thresholds[:, None, None]
    bits = active.reshape(len(thresholds), -1)
    bits = jnp.pad(bits, ((0, 0), (0, -bits.shape[1] % 32))).reshape(len(thresholds), -1, 32)
    return (bits.astype(jnp.uint32) << jnp.arange(32, dtype=jnp.uint32)).sum(-1, dtype=jnp.uint32)


def pack(bits: np.ndarray) -> np.ndarray:
    """bool `[..., pixels]` in the layout of the words: uint32 `[..., ceil(pixels / 32)]`."""
    packed = np.packbits(bits, axis=-1, bitorder="little")
    missing = -packed.shape[-1] % 4
    packed = np.pad(packed, [(0, 0)] * (packed.ndim - 1) + [(0, missing)])
    return packed.view("<u4")


def _meet(total: Counts, words: np.ndarray, labels: np.ndarray) -> None:
    """Adds one image with labels `[K, H, W]` to the counts, in place."""
    flat = labels.reshape(len(labels), -1)
    counts = np.bincount(flat.ravel(), minlength=len(total.label_area))
    total.label_area[:] += counts
    present = np.flatnonzero(counts)
    area = np.bitwise_count(words).sum(1, dtype=np.int64)
    seen = np.unique(total.label_category[present])
    total.unit_area[seen] += area
    total.total[seen] += flat.shape[1]
    shown = present[present > 0]
    masks = pack((flat[None] == shown[:, None, None]).any(1))
    for label, mask in zip(shown, masks, strict=True):
        total.intersection[label] += np.bitwise_count(words & mask).sum(1, dtype=np.int64)
