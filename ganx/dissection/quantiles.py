"""Quantiles of every unit: by sorting what fits, and exactly in two passes over what does not (§12.2).

Quantiles follow the Hazen rule: value i of n sorted ones sits at (i + 0.5) / n, straight lines between, the least
value at 0 and the largest at 1.

A float32 has an integer image of the same order. The first pass counts its upper 16 bits, the second the lower 16 bits
of just those values that share the upper ones of a wanted rank. Counts of several streams or devices add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ganx.errors import GanxError

_BITS = 16
_BUCKETS = 1 << _BITS
_PART_BITS = 8
_PARTS = 1 << (_BITS - _PART_BITS)
Stream = Callable[[], Iterable[Any]]


def hazen(values: Any, p: Any) -> np.ndarray:
    """Quantiles of stored values.

    Args:
      values: `[N, U]`, finite.
      p: `[P]` in [0, 1].

    Returns:
      float64 `[U, P]`.
    """
    ordered = np.sort(_finite(values), axis=0).astype(np.float64)
    low, high, share = _ranks(np.asarray(p, np.float64), len(ordered))
    return (ordered[low] * (1 - share)[:, None] + ordered[high] * share[:, None]).T


def quantile(stream: Stream, p: float) -> np.ndarray:
    """One quantile of a stream, exact: float64 `[U]`.

    Args:
      stream: called twice; gives the same blocks `[U, …]` of float32 both times.
      p: in [0, 1].
    """
    upper = buckets(stream())
    low, high, share = _ranks(np.asarray([p]), int(upper[0].sum()))
    cumulative = np.cumsum(upper, 1, out=upper)
    found = {rank: _bucket(cumulative, rank) for rank in {int(low[0]), int(high[0])}}
    fine = {rank: np.zeros((len(upper), _BUCKETS), np.int64) for rank in found}
    for block in stream():
        image = _image(block)
        for rank, bucket in found.items():
            _count_lower(fine[rank], image, bucket)
    values = {rank: _resolve(cumulative, fine[rank], bucket, rank) for rank, bucket in found.items()}
    return values[int(low[0])] * (1 - share[0]) + values[int(high[0])] * share[0]


def buckets(blocks: Iterable[Any]) -> np.ndarray:
    """How many values have each upper half: int64 `[U, 65536]`, in the order of the values."""
    total: np.ndarray | None = None
    for block in blocks:
        image = _image(block)
        if total is None:
            total = np.zeros((len(image), _BUCKETS), np.int64)
        for unit, row in enumerate(image):
            np.add.at(total[unit], row >> _BITS, 1)  # blocks are far smaller than the table
    if total is None:
        raise GanxError("no values to take quantiles of; ask for at least one image")
    return total


def streamed(stream: Stream, p: Any) -> tuple[np.ndarray, np.ndarray]:
    """Many quantiles of a stream at once, and how far off their ranks may be.

    As `quantile`, but the second pass counts only 8 more bits of the values that share their upper half with a wanted
    one: values are right to 2^-15 of themselves. The rank error is the share of the values that agree in all 24 bits;
    0 at zero, where all values are equal.

    Args:
      stream: called twice; gives the same blocks `[U, …]` of float32 both times.
      p: `[P]` in [0, 1].

    Returns:
      `(values [U, P], rank error [U, P])`, float64.
    """
    counts = buckets(stream())
    n = int(counts[0].sum())
    low, _, _ = _ranks(np.asarray(p, np.float64), n)
    cumulative = counts.cumsum(1)
    bucket = np.stack([_bucket(cumulative, int(rank)) for rank in low], 1)
    before = np.take_along_axis(cumulative, bucket, 1) - np.take_along_axis(counts, bucket, 1)
    slot = np.full(counts.shape, -1, np.int16)
    np.put_along_axis(slot, bucket, np.arange(len(low), dtype=np.int16)[None], 1)  # equal ones share
    fine = np.zeros((*bucket.shape, _PARTS), np.int64)
    for block in stream():
        _count_parts(fine, slot, _image(block))
    parts = fine[np.arange(len(bucket))[:, None], np.take_along_axis(slot, bucket, 1)]
    running = before[..., None] + parts.cumsum(-1)
    part = (running <= low[:, None]).sum(-1)
    mass, end = (np.take_along_axis(x, part[..., None], -1)[..., 0] for x in (parts, running))
    first = (bucket << _BITS) | (part << _PART_BITS)
    lowest, highest = _value(first), _value(first | (_PARTS - 1))
    zero = bucket == _BUCKETS // 2
    values = lowest + (highest - lowest) * (low - (end - mass) + 0.5) / mass
    return np.where(zero, 0.0, values), np.where(zero, 0.0, mass / n)


def _count_parts(fine: np.ndarray, slot: np.ndarray, image: np.ndarray) -> None:
    """Adds a block to the counts `[U, P, 256]` of the next 8 bits of the values in wanted buckets, in place."""
    for table, own, row in zip(fine, slot, image, strict=True):
        place = own[row >> _BITS].astype(np.int64)
        wanted = place >= 0
        flat = place[wanted] * _PARTS + ((row[wanted] >> _PART_BITS) & np.uint32(_PARTS - 1))
        table += np.bincount(flat.astype(np.int64), minlength=table.size).reshape(table.shape)


def _ranks(p: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ranks below and above each quantile, and the share of the upper one."""
    if n == 0 or p.min() < 0 or p.max() > 1:
        raise GanxError("quantiles lie in [0, 1] and need at least one value")
    at = np.clip(p * n - 0.5, 0, n - 1)
    low = np.floor(at).astype(np.int64)
    return low, np.minimum(low + 1, n - 1), at - low


def _finite(values: Any) -> np.ndarray:
    values = np.asarray(values, np.float32)
    if not np.isfinite(values).all():
        raise GanxError("the features hold NaN or Inf; load a checkpoint from before the training broke down")
    return values


def _image(block: Any) -> np.ndarray:
    """Order-preserving uint32 of a block `[U, …]`: `[U, N]`."""
    bits = np.ascontiguousarray(_finite(block)).reshape(len(block), -1) + np.float32(0)  # turns -0 into 0
    image = np.asarray(bits.view(np.uint32))
    return image ^ np.where(image >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def _value(image: np.ndarray) -> np.ndarray:
    """The inverse of `_image`, float64."""
    image = np.asarray(image).astype(np.uint32)
    bits = image ^ np.where(image >> 31, np.uint32(0x80000000), np.uint32(0xFFFFFFFF))
    return bits.view(np.float32).astype(np.float64)


def _bucket(cumulative: np.ndarray, rank: int) -> np.ndarray:
    """The bucket of every unit that holds a rank, int64 `[U]`."""
    return (cumulative <= rank).sum(1)


def _count_lower(fine: np.ndarray, image: np.ndarray, bucket: np.ndarray) -> None:
    for unit, row in enumerate(image):
        lower = row[row >> _BITS == bucket[unit]] & np.uint32(_BUCKETS - 1)
        np.add.at(fine[unit], lower, 1)


def _resolve(cumulative: np.ndarray, fine: np.ndarray, bucket: np.ndarray, rank: int) -> np.ndarray:
    """The value of a rank, from the counts of both passes."""
    units = np.arange(len(bucket))
    before = np.where(bucket > 0, cumulative[units, bucket - 1], 0)
    lower = (np.cumsum(fine, 1, out=fine) <= (rank - before)[:, None]).sum(1)
    return _value((bucket << _BITS) | lower)
