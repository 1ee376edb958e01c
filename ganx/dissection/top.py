"""The images that excite each unit most, exact and independent of how the samples were batched (§2.6)."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Top:
    """Running top k.

    Attributes:
      values: float32 `[U, k]`, descending.
      index: int64 `[U, k]`, which sample; of equals the lower index comes first.
    """

    values: np.ndarray
    index: np.ndarray


def none_yet(units: int) -> Top:
    """The top of no image."""
    return Top(np.zeros((units, 0), np.float32), np.zeros((units, 0), np.int64))


def merge(top: Top, values: np.ndarray, index: np.ndarray, k: int) -> Top:
    """With more samples: `values` `[n, U]`, such as spatial maxima, of the samples `index` `[n]`."""
    joined = np.concatenate([top.values, values.T], 1)
    where = np.concatenate([top.index, np.broadcast_to(index, (values.shape[1], len(index)))], 1)
    order = np.lexsort((where, -joined), axis=1)[:, :k]
    return Top(np.take_along_axis(joined, order, 1), np.take_along_axis(where, order, 1))
