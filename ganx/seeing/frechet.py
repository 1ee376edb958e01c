"""Fréchet segmentation distance between two sets of tallies (FSD; Bau et al. 2019, §3.1)."""

from __future__ import annotations

from ganx.errors import GanxError
from ganx.metrics.frechet import Frechet, gaussian_distance
from ganx.seeing.moments import Moments


def fsd(real: Moments, generated: Moments, units: str = "percent") -> Frechet:
    """Fréchet segmentation distance, in squared `units`; comparable only at equal n, classes and segmenter."""
    if real.classes != generated.classes:
        raise GanxError(f"{real.classes} and {generated.classes} classes cannot be compared; use one segmenter")
    sides = (real.mean(units), real.covariance(units), generated.mean(units), generated.covariance(units))
    return gaussian_distance(*sides)
