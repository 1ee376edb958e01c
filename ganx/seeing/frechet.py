"""The Fréchet distance between two Gaussians, and between two sets of tallies (FSD; Bau et al. 2019, §3.1)."""

from __future__ import annotations

import dataclasses

import numpy as np

from ganx.errors import GanxError
from ganx.seeing.moments import Moments

_SUSPICIOUS = 1e-6  # of the traces: a distance further below 0 is no rounding


@dataclasses.dataclass(frozen=True)
class Distance:
    """A squared Fréchet distance and its parts.

    Attributes:
      value: the sum of both parts; may be a rounding error below 0.
      means: squared distance of the means.
      covariances: Tr(S1 + S2 - 2 (S1 S2)^(1/2)).
      sound: False if `value` is too far below 0 to be rounding.
    """

    value: float
    means: float
    covariances: float
    sound: bool = True


def frechet(mean1: np.ndarray, cov1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray) -> Distance:
    """Distance of two Gaussians with means `[K]` and covariances `[K, K]`, in float64.

    The trace of the matrix square root is the sum of singular values of F1ᵀ F2, where Si = Fi Fiᵀ: no complex number
    and no added diagonal, whatever the ranks.

    Raises:
      GanxError: shapes that do not fit, NaN or Inf.
    """
    arrays = [np.asarray(a, np.float64) for a in (mean1, cov1, mean2, cov2)]
    _check(arrays)
    mean1, cov1, mean2, cov2 = arrays
    product = _factor(cov1).T @ _factor(cov2)
    means = float(np.square(mean1 - mean2).sum())
    traces = float(np.trace(cov1) + np.trace(cov2))
    covariances = traces - 2 * float(np.linalg.svd(product, compute_uv=False).sum())
    value = means + covariances
    return Distance(value, means, covariances, value >= -_SUSPICIOUS * traces)


def fsd(real: Moments, generated: Moments, units: str = "percent") -> Distance:
    """Fréchet segmentation distance, in squared `units`; comparable only at equal n, classes and segmenter."""
    if real.classes != generated.classes:
        raise GanxError(f"{real.classes} and {generated.classes} classes cannot be compared; use one segmenter")
    sides = (real.mean(units), real.covariance(units), generated.mean(units), generated.covariance(units))
    return frechet(*sides)


def _factor(cov: np.ndarray) -> np.ndarray:
    """F with F Fᵀ = cov, for any covariance."""
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _check(arrays: list[np.ndarray]) -> None:
    size = len(arrays[0])
    if [a.shape for a in arrays] != [(size,), (size, size)] * 2:
        raise GanxError(f"means [K] and covariances [K, K] are needed, not {[list(a.shape) for a in arrays]}")
    if not all(np.isfinite(a).all() for a in arrays):
        raise GanxError("means or covariances hold NaN or Inf; check the images that they were measured on")
