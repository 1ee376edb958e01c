"""Counts at many thresholds a unit, and the thresholds of the information quality ratio (§2.2 a and b)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ganx.dissection.scores import Counts, information_quality
from ganx.dissection.upsample import upsample

FRACTIONS = np.logspace(-3, 0, 100)
"""Tail fractions whose quantiles are the candidate thresholds."""
SEEN, AGREEMENT = 1e-3, 0.8
"""Share of the pixels that a label must have, and pixel accuracy that a pair must have, in the code of 2019."""


class Curves:
    """Histograms of each unit's activation, over all pixels and over those of each label.

    Bin b holds the pixels that exceed exactly b of the unit's thresholds, so counts at all thresholds are sums of bins.
    """

    def __init__(self, thresholds: np.ndarray, label_category: np.ndarray) -> None:
        """`thresholds`: `[U, T]`, in any order; `label_category`: int `[L]`."""
        self.order = np.argsort(thresholds, axis=1, kind="stable")
        self.thresholds = np.take_along_axis(thresholds, self.order, 1).astype(np.float32)
        self.category = np.asarray(label_category)
        units, steps = thresholds.shape
        self.bins = np.zeros((len(self.category), units, steps + 1), np.int64)
        self.area = np.zeros((int(self.category.max()) + 1, units, steps + 1), np.int64)
        self.label_area = np.zeros(len(self.category), np.int64)
        self.total = np.zeros(len(self.area), np.int64)
        self.pixels = 0

    def add(self, features: Any, labels: np.ndarray, padding: str = "border") -> None:
        """Adds images with features `[n, h, w, U]` and labels int `[n, K, H, W]`."""
        for maps, segmentation in zip(features, labels, strict=True):
            bins = _bins(maps, self.thresholds, segmentation.shape[1:], padding)
            self._add_image(bins, segmentation.reshape(len(segmentation), -1))

    def _add_image(self, bins: np.ndarray, flat: np.ndarray) -> None:
        counts = np.bincount(flat.ravel(), minlength=len(self.category))
        self.label_area += counts
        self.pixels += flat.shape[1]
        present = np.flatnonzero(counts)
        seen = np.unique(self.category[present])
        self.area[seen] += self._histogram(bins)
        self.total[seen] += flat.shape[1]
        for label in present[present > 0]:
            self.bins[label] += self._histogram(bins[:, (flat == label).any(0)])

    def _histogram(self, bins: np.ndarray) -> np.ndarray:
        units, steps = self.thresholds.shape
        offset = bins + np.arange(units, dtype=np.int32)[:, None] * (steps + 1)
        return np.bincount(offset.ravel(), minlength=units * (steps + 1)).reshape(units, steps + 1)

    def counts(self) -> Counts:
        """Counts whose units are all thresholds of unit 0, then all of unit 1, …, in the given order."""
        inverse = np.argsort(self.order, axis=1)
        intersection, area = (self._above(x, inverse) for x in (self.bins, self.area))
        return Counts(intersection, self.label_area.copy(), area, self.total.copy(), self.category)

    def _above(self, bins: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        above = bins[..., ::-1].cumsum(-1)[..., ::-1][..., 1:]
        return np.take_along_axis(above, inverse[None], -1).reshape(len(bins), -1)


def _bins(maps: Any, thresholds: np.ndarray, size: tuple[int, int], padding: str) -> np.ndarray:
    """How many of its ascending thresholds a unit exceeds at each pixel, int32 `[U, H W]`."""
    active = np.asarray(upsample(maps, size, padding)).reshape(len(thresholds), -1)
    bins = [np.searchsorted(levels, values) for levels, values in zip(thresholds, active, strict=True)]
    return np.stack(bins).astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Choice:
    """Thresholds chosen by information quality.

    Attributes:
      step: int `[L, U]`, which of the unit's thresholds is best for the pair.
      iqr: float64 `[L, U]`, the ratio there; 0 where no threshold was admissible.
      label: int `[U]`, the label with the largest ratio.
    """

    step: np.ndarray
    iqr: np.ndarray
    label: np.ndarray


def choose(counts: Counts, thresholds: np.ndarray, pixels: int, compat: str | None = None) -> Choice:
    """For every pair the threshold of the largest information quality ratio (eq. 2), from `Curves.counts()`.

    The ratio of a mask and of its complement are equal, so only masks that meet the label more often than chance count
    (ours).

    Args:
      pixels: how many were counted in all.
      compat: "gandissect" for the rules of the code of 2019: no label below 0.1% of the pixels, no pair with an
        accuracy of 0.8 or less, no threshold of 0 or less, nor the lowest candidate; the label's share is taken over
        all pixels and the mask's over the images of the category.
    """
    units, steps = thresholds.shape
    both, area, label, total = counts.table
    if compat == "gandissect":
        share = label / pixels
        overlap, mask = both / np.maximum(label, 1) * share, area / np.maximum(total, 1)
        iqr = information_quality(overlap, mask - overlap, share - overlap, 1.0)
        usable = (thresholds > 0) & (thresholds > thresholds.min(1, keepdims=True))
        agreement = 1 - mask - share + 2 * overlap
        admissible = (share >= SEEN) & (agreement > AGREEMENT) & usable.reshape(-1)
    else:
        iqr, admissible = counts.iqr(), both * total > area * label
    iqr = np.where(admissible, iqr, 0.0).reshape(-1, units, steps)
    iqr[0] = 0
    step = iqr.argmax(-1)
    best = np.take_along_axis(iqr, step[..., None], -1)[..., 0]
    return Choice(step, best, best.argmax(0))


def at(counts: Counts, step: np.ndarray) -> Counts:
    """One threshold a pair: `step` int `[L, U]` picks among those of `Curves.counts()`.

    Unit areas then differ from label to label, so every label becomes a category of its own.
    """
    labels, units = step.shape
    take = np.arange(units) * (counts.intersection.shape[1] // units) + step
    intersection = np.take_along_axis(counts.intersection, take, 1)
    area = np.take_along_axis(counts.unit_area[counts.label_category], take, 1)
    return Counts(intersection, counts.label_area, area, counts.total[counts.label_category], np.arange(labels))
