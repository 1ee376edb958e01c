"""Counting where units and labels meet, exact in integers, in the form that the backend runs well (§12.1).

On accelerators a batch is one matrix product of 0/1 operands, exact in float32 below 2^24 pixels. On CPU the masks of
an image are packed to 64 pixels a word and met only with the labels that this image shows: AND, then count the bits.
Both give the same integers, whatever the batch or the number of devices.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx.dissection.scores import Counts
from ganx.dissection.upsample import matrix, upsample
from ganx.errors import GanxError

KERNELS = ("dense", "packed")
EXACT = 2**24
"""Pixels that one float32 sum of ones can count."""
WORD = 64
"""Pixels a word."""


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
    maps = np.asarray(features, np.float32)
    layout = tiles(maps.shape[1:3], labels.shape[2:], padding)
    for i in np.flatnonzero(keep):
        _meet(total, masks(maps[i], thresholds, layout), labels[i], layout)
    return total


@dataclasses.dataclass(frozen=True)
class Tile:
    """A rectangle of the segmentation between the same few cells of a feature map.

    Attributes:
      cells: int `[S]`, the cells that its pixels are mixed from, by number in the flat map.
      weights: float32 `[S, pixels]`.
      first: the word that its pixels begin in.
    """

    cells: np.ndarray
    weights: np.ndarray
    first: int


@dataclasses.dataclass(frozen=True)
class Tiles:
    """Where pixels lie in the words: tile after tile, each filled up to whole words.

    Attributes:
      parts: the tiles.
      pixels: int `[64 words]`, number of the pixel in the flat segmentation, or -1 where a tile was filled up.
    """

    parts: tuple[Tile, ...]
    pixels: np.ndarray


@functools.lru_cache(maxsize=16)
def tiles(source: tuple[int, int], size: tuple[int, int], padding: str = "border") -> Tiles:
    """The tiles of maps `source` = (h, w) upsampled to `size` = (H, W)."""
    rows, columns = (matrix(*sides, padding) for sides in zip(source, size, strict=True))
    numbers = np.arange(size[0] * size[1]).reshape(size)
    parts, pixels, words = [], [], 0
    for y in _bands(rows):
        for x in _bands(columns):
            up, left = (np.flatnonzero(part.any(0)) for part in (rows[y], columns[x]))
            weights = np.kron(rows[y][:, up], columns[x][:, left]).T
            parts.append(Tile((up[:, None] * source[1] + left).ravel(), np.ascontiguousarray(weights), words))
            inside = numbers[y, x].ravel()
            pixels.append(np.pad(inside, (0, -len(inside) % WORD), constant_values=-1))
            words += len(pixels[-1]) // WORD
    return Tiles(tuple(parts), np.concatenate(pixels))


def _bands(weights: np.ndarray) -> list[slice]:
    """Target rows of a matrix `[target, source]` in groups that begin at the same source row, about eight of them."""
    first, least = (weights != 0).argmax(1), len(weights) // 8
    starts = [0]
    for row in range(1, len(weights)):
        if first[row] != first[row - 1] and row - starts[-1] >= least:
            starts.append(row)
    return [slice(*ends) for ends in itertools.pairwise([*starts, len(weights)])]


def masks(maps: np.ndarray, thresholds: np.ndarray, layout: Tiles) -> np.ndarray:
    """Where each unit of one image exceeds its threshold, 64 pixels a word: uint64 `[words, U]`.

    A mixture is no larger than its largest part, or than zero where that lies beyond the edge. Where all parts stay
    below a unit's threshold, as most do, nothing is upsampled.

    Args:
      maps: float32 `[h, w, U]`.
      thresholds: float32 `[U]`.
    """
    flat = maps.reshape(-1, len(thresholds))
    least = thresholds * np.float32(1 - 1e-5)  # rounding may carry a mixture a little over
    words = np.zeros((len(layout.pixels) // WORD, len(thresholds)), np.uint64)
    for tile in layout.parts:
        cells = flat[tile.cells]
        chosen = np.flatnonzero(np.maximum(cells.max(0), 0) > least)
        bits = pack(cells[:, chosen].T @ tile.weights > thresholds[chosen, None])
        words[tile.first : tile.first + bits.shape[1], chosen] = bits.T
    return words


def pack(bits: np.ndarray) -> np.ndarray:
    """bool `[..., pixels]` in the layout of the words: uint64 `[..., ceil(pixels / 64)]`."""
    packed = np.packbits(bits, axis=-1, bitorder="little")
    if missing := -packed.shape[-1] % (WORD // 8):
        packed = np.pad(packed, [(0, 0)] * (packed.ndim - 1) + [(0, missing)])
    return packed.view("<u8")


def _meet(total: Counts, words: np.ndarray, labels: np.ndarray, layout: Tiles) -> None:
    """Adds one image with labels `[K, H, W]` to the counts, in place."""
    flat = labels.reshape(len(labels), -1)
    counts = np.bincount(flat.ravel(), minlength=len(total.label_area))
    total.label_area[:] += counts
    present = np.flatnonzero(counts)
    seen = np.unique(total.label_category[present])
    total.unit_area[seen] += _count(words)
    total.total[seen] += flat.shape[1]
    placed = flat.take(layout.pixels, 1)
    placed[:, layout.pixels < 0] = -1
    for label in present[present > 0]:
        mask = pack((placed == label).any(0))
        inside = np.flatnonzero(mask)  # a label is in few places: most words have nothing of it
        total.intersection[label] += _count(words[inside] & mask[inside, None])


def _count(words: np.ndarray) -> np.ndarray:
    """Bits of each unit in words `[N, U]`: `[U]`."""
    return np.bitwise_count(words).sum(0, dtype=np.uint32)
