"""The Fréchet distance between two Gaussians, without a matrix square root.

With factors S = F Fᵀ from `eigh`, the trace of (S₁S₂)^½ is the sum of the singular values of F₁ᵀF₂: real, symmetric,
no complex numbers, no epsilon, and singular covariances (fewer images than features) are allowed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ganx.errors import GanxError
from ganx.metrics.moments import Moments

_ROUNDING = 1e-6  # of the traces: a distance further below zero is no rounding


class Frechet(NamedTuple):
    """A squared Fréchet distance and its two terms, float64. `sound` is False below 0 by more than rounding.

    The value is given as it comes: rounding may leave it a little below 0 for equal sets.
    """

    value: float
    means: float
    covariances: float
    sound: bool


def frechet(a: Moments, b: Moments) -> Frechet:
    """The distance of two sets of features, as Gaussians of their moments (Heusel et al. 2017).

    Raises:
      GanxError: features of different width, or covariances under different divisors.
    """
    if a.mean.shape != b.mean.shape:
        raise GanxError(f"features are {len(a.mean)} and {len(b.mean)} wide; take both from one network and layer")
    if a.ddof != b.ddof:
        raise GanxError("one covariance is biased and the other is not; make both under one preset")
    return gaussian_distance(a.mean, a.covariance, b.mean, b.covariance)


def gaussian_distance(mean1: np.ndarray, cov1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray) -> Frechet:
    """|μ₁ - μ₂|² + Tr(S₁ + S₂ - 2 (S₁S₂)^½) (Dowson & Landau 1982), in float64 on the host.

    Args:
      mean1, mean2: `[d]`.
      cov1, cov2: `[d, d]`.

    Raises:
      GanxError: shapes that do not fit, NaN or Inf.
    """
    mean1, cov1, mean2, cov2 = _checked(mean1, cov1, mean2, cov2)
    means = float(np.square(mean1 - mean2).sum())
    traces = float(np.trace(cov1) + np.trace(cov2))
    shared = np.linalg.svd(_factor(cov1).T @ _factor(cov2), compute_uv=False).sum()
    covariances = traces - 2.0 * float(shared)
    return Frechet(means + covariances, means, covariances, means + covariances >= -_ROUNDING * traces)


def _checked(*moments: np.ndarray) -> list[np.ndarray]:
    arrays = [np.asarray(array, np.float64) for array in moments]
    size = len(arrays[0])
    if [array.shape for array in arrays] != [(size,), (size, size)] * 2:
        raise GanxError(f"means [d] and covariances [d, d] are needed, not {[list(a.shape) for a in arrays]}")
    if not all(np.isfinite(array).all() for array in arrays):
        raise GanxError("means or covariances hold NaN or Inf; check the images that they were measured on")
    return arrays


def _factor(covariance: np.ndarray) -> np.ndarray:
    """F `[d, rank]` with F Fᵀ the covariance; directions of no variance are left out."""
    values, vectors = np.linalg.eigh(covariance)
    keep = values > 0
    return vectors[:, keep] * np.sqrt(values[keep])
