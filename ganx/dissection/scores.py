"""Scores of a unit against a label from counts of pixels (§2.2a, §2.4)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Counts:
    """Pixels counted over all images, exact int64.

    Attributes:
      intersection: `[L, U]`, pixels where the unit is active and any channel carries the label; row 0 is 0.
      label_area: `[L]`, how often the label occurs; every channel counts.
      unit_area: `[C, U]`, active pixels in images that show at least one label of the category.
      total: `[C]`, pixels of those images.
      label_category: `[L]`, category of each label; label 0 counts as a member of its own.
    """

    intersection: np.ndarray
    label_area: np.ndarray
    unit_area: np.ndarray
    total: np.ndarray
    label_category: np.ndarray

    def __add__(self, other: Counts) -> Counts:
        names = ("intersection", "label_area", "unit_area", "total")
        return dataclasses.replace(self, **{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """`(I, A, G, T)`, each of a shape that broadcasts to `[L, U]`, in float64."""
        area, total = self.unit_area[self.label_category], self.total[self.label_category, None]
        return tuple(np.asarray(x, np.float64) for x in (self.intersection, area, self.label_area[:, None], total))  # type: ignore[return-value]

    def iou(self) -> np.ndarray:
        """Intersection over union, float64 `[L, U]`."""
        both, area, label, _ = self.table
        return both / (area + label - both + 1e-20)

    def iqr(self) -> np.ndarray:
        """Information quality ratio, float64 `[L, U]`."""
        both, area, label, total = self.table
        return information_quality(both, area - both, label - both, total)

    def accuracy(self) -> np.ndarray:
        """Share of the pixels on which mask and label agree, float64 `[L, U]`; 0 where the category never occurs."""
        both, area, label, total = self.table
        return (total - area - label + 2 * both) / np.maximum(total, 1)

    def chance(self) -> np.ndarray:
        """The IoU that independent mask and label of these densities would have, float64 `[L, U]` (§2.5)."""
        _, area, label, total = self.table
        q, g = area / np.maximum(total, 1), label / np.maximum(total, 1)
        return q * g / np.maximum(q + g - q * g, 1e-20)


def information_quality(both: Any, mask_only: Any, label_only: Any, total: Any) -> np.ndarray:
    """Mutual information over joint entropy of two binary pixel variables, from counts (eq. 2); 0/0 is 0."""
    total = np.maximum(np.asarray(total, np.float64), 1e-300)
    neither = total - (both + mask_only + label_only)  # from counts, which are exact
    p11, p10, p01, p00 = (np.asarray(x, np.float64) / total for x in (both, mask_only, label_only, neither))
    mask, label, no_mask, no_label = p11 + p10, p11 + p01, p01 + p00, p10 + p00
    shared, joint = np.zeros(np.shape(p00)), np.zeros(np.shape(p00))
    pairs = ((p11, mask, label), (p10, mask, no_label), (p01, no_mask, label), (p00, no_mask, no_label))
    for p, a, b in pairs:
        shared += _xlog(p, p / np.maximum(a * b, 1e-300))
        joint -= _xlog(p, p)
    shared, joint = np.maximum(shared, 0), np.maximum(joint, 0)
    return np.where(joint > 0, shared / np.where(joint > 0, joint, 1), 0.0)


def _xlog(p: np.ndarray, x: np.ndarray) -> np.ndarray:
    """`p ln x`, 0 where p is 0 (or below by rounding)."""
    positive = (p > 0) & (x > 0)
    return np.where(positive, p * np.log(np.where(positive, x, 1)), 0.0)
