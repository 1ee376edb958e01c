"""Coverage of a mixture whose modes are known, and other statistics of counts."""

from __future__ import annotations

import dataclasses

import numpy as np

from ganx.errors import GanxError


@dataclasses.dataclass(frozen=True)
class ModeCoverage:
    """What a sample covers of a mixture.

    Attributes:
      covered: number of modes with at least one good sample.
      modes: number of modes there are.
      good: share of samples within `reach` deviations of a mode.
      reverse_kl: KL(counts of good samples a mode || equal shares), in nats; infinite where no sample is good.
      counts: good samples of each mode, int64 `[modes]`.
    """

    covered: int
    modes: int
    good: float
    reverse_kl: float
    counts: np.ndarray


def mode_coverage(points: np.ndarray, centres: np.ndarray, deviation: float, reach: float = 3.0) -> ModeCoverage:
    """Coverage of modes at `centres` `[modes, d]` by `points` `[n, d]`; a good sample lies within `reach` deviations.

    Raises:
      GanxError: no points, or points of another dimension.
    """
    points, centres = np.asarray(points, np.float64), np.asarray(centres, np.float64)
    if not len(points) or points.shape[1:] != centres.shape[1:]:
        raise GanxError(f"points are {list(points.shape)} and modes {list(centres.shape)}; want [n, d] and [modes, d]")
    nearest, apart = np.zeros(len(points), np.int64), np.full(len(points), np.inf)
    for mode, centre in enumerate(centres):
        distance = np.linalg.norm(points - centre, axis=1)
        nearest, apart = np.where(distance < apart, mode, nearest), np.minimum(distance, apart)
    good = apart <= reach * deviation
    counts = np.bincount(nearest[good], minlength=len(centres))
    return ModeCoverage(int((counts > 0).sum()), len(centres), float(good.mean()), reverse_kl(counts), counts)


def reverse_kl(counts: np.ndarray, expected: np.ndarray | None = None) -> float:
    """KL(counts || expected) in nats; `expected` are shares, equal ones by default."""
    if counts.sum() == 0:
        return float("inf")
    p = counts / counts.sum()
    q = np.full(len(counts), 1 / len(counts)) if expected is None else np.asarray(expected) / np.sum(expected)
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())


def cmmd(real: np.ndarray, fake: np.ndarray, sigma: float = 10.0) -> float:
    """1000 MMD² under a Gaussian kernel on embeddings scaled to unit length, diagonals included (Jayasumana 2024).

    Args:
      real, fake: `[n, d]` and `[m, d]` embeddings of one's own; published numbers use CLIP ViT-L/14 at 336 pixels.
    """
    x, y = (e / np.linalg.norm(e, axis=1, keepdims=True) for e in (np.float64(real), np.float64(fake)))

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        sums = [np.exp((a[i : i + 1024] @ b.T - 1) / sigma**2).sum() for i in range(0, len(a), 1024)]
        return float(sum(sums) / (len(a) * len(b)))  # |a - b|² = 2 - 2 a·b

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))
