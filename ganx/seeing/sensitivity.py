"""How much of a difference is only the sample's size (Bau et al. 2019, fig. 4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ganx.errors import GanxError
from ganx.seeing.compare import Side, compare
from ganx.seeing.frechet import fsd
from ganx.seeing.moments import Moments


@dataclasses.dataclass(frozen=True)
class SelfCheck:
    """Two random halves of one set against each other.

    Attributes:
      distance: FSD of the halves, percent squared, by split: float64 `[splits]`.
      floor: what the means' part is expected to be, Tr(S) (1/n1 + 1/n2).
      largest_z: largest |z| over classes and splits.
      side: the first split as a comparison of its halves.
      n: pictures in a half.
    """

    distance: np.ndarray
    floor: float
    largest_z: float
    side: Side
    n: int


def self_check(
    counts: np.ndarray, pixels: int, names: Sequence[str], splits: int = 3, seed: int = 0, unlabelled: bool = True
) -> SelfCheck:
    """Compares random halves of a table of tallies, integers `[n, K]`: any difference is finite-sample noise."""
    half = len(counts) // 2
    if half < 2:
        raise GanxError(f"{len(counts)} pictures cannot be halved; measure at least 4")
    rng = np.random.default_rng(seed)
    distances, sides = [], []
    for _ in range(splits):
        order = rng.permutation(len(counts))
        a, b = (Moments.of_counts(counts[part], pixels) for part in (order[:half], order[half : 2 * half]))
        side = compare(a, {"other half": b}, names, None, unlabelled).sides["other half"]
        sides.append(side)
        distances.append(side.distance.value)
    floor = float(np.trace(a.covariance())) * 2 / half
    largest = max(float(np.abs(side.z[np.isfinite(side.z)]).max(initial=0)) for side in sides)
    return SelfCheck(np.asarray(distances), floor, largest, sides[0], half)


def distance_by_size(
    a: np.ndarray, b: np.ndarray, pixels: int, sizes: Sequence[int], seed: int = 0
) -> dict[int, float]:
    """FSD of the first n of two shuffled tables of tallies, integers `[N, K]`, for several n.

    FSD is biased upwards by about 1/n: only values at equal n can be compared.
    """
    largest = min(len(a), len(b))
    if not sizes or min(sizes) < 2 or max(sizes) > largest:
        raise GanxError(f"sizes are from 2 to {largest}, not {list(sizes)}")
    rng = np.random.default_rng(seed)
    a, b = a[rng.permutation(len(a))], b[rng.permutation(len(b))]
    return {n: fsd(Moments.of_counts(a[:n], pixels), Moments.of_counts(b[:n], pixels)).value for n in sizes}
