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
    """|μ₁ - μ₂|² + Tr(S₁ + S₂ - 2 (S₁S₂)^½) (Dowson & Landau 1982; Heusel et al. 2017), in float64 on the host.

    Raises:
      GanxError: features of different width, or covariances under different divisors.
    """
    if a.mean.shape != b.mean.shape:
        raise GanxError(f"features are {len(a.mean)} and {len(b.mean)} wide; take both from one network and layer")
    if a.ddof != b.ddof:
        raise GanxError("one covariance is biased and the other is not; make both under one preset")
    means = float(np.square(a.mean - b.mean).sum())
    traces = float(np.trace(a.covariance) + np.trace(b.covariance))
    shared = np.linalg.svd(_factor(a.covariance).T @ _factor(b.covariance), compute_uv=False).sum()
    covariances = traces - 2.0 * float(shared)
    return Frechet(means + covariances, means, covariances, means + covariances >= -_ROUNDING * traces)


def _factor(covariance: np.ndarray) -> np.ndarray:
    """F `[d, rank]` with F Fᵀ the covariance; directions of no variance are left out."""
    values, vectors = np.linalg.eigh(covariance)
    keep = values > 0
    return vectors[:, keep] * np.sqrt(values[keep])
