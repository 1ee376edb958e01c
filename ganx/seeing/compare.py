"""Class by class: what generated pictures have too little or too much of (Bau et al. 2019, fig. 3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ganx.errors import GanxError
from ganx.metrics.frechet import Frechet
from ganx.seeing.frechet import fsd
from ganx.seeing.moments import Moments


@dataclasses.dataclass(frozen=True)
class Side:
    """One generator beside the real pictures; arrays are float64 `[classes]` in the order of the comparison.

    Attributes:
      mean: mean area, percent of the picture.
      error: standard error of `mean`.
      delta: (mean - real mean) / real mean: -1 never drawn, 0 the right amount.
      delta_error: standard error of `delta`, both sides' samples counted.
      z: difference of the means in its standard error.
      presence: share of pictures that show the class.
      presence_delta: relative difference of `presence`.
      distance: FSD to the real pictures, percent squared.
      hallucinated: classes that only this generator draws, with their mean area in percent, the largest first.
    """

    mean: np.ndarray
    error: np.ndarray
    delta: np.ndarray
    delta_error: np.ndarray
    z: np.ndarray
    presence: np.ndarray
    presence_delta: np.ndarray
    distance: Frechet
    hallucinated: tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Generators against real pictures, class by class.

    Attributes:
      names: class names, most frequent in real pictures first; the unlabelled class is left out.
      order: their indices, int64 `[classes]`.
      mean, error, presence: of the real pictures, float64 `[classes]`, as in `Side`.
      sides: each generator, by name.
      n: real pictures.
    """

    names: tuple[str, ...]
    order: np.ndarray
    mean: np.ndarray
    error: np.ndarray
    presence: np.ndarray
    sides: Mapping[str, Side]
    n: int

    def row(self, name: str) -> int:
        """Position of a class."""
        if name not in self.names:
            raise GanxError(f"the real pictures show no {name!r}; they show {', '.join(self.names)}")
        return self.names.index(name)


def compare(
    real: Moments, generated: Mapping[str, Moments], names: Sequence[str], top: int | None = 30, unlabelled: bool = True
) -> Comparison:
    """Relative deltas, sorted by frequency in the real pictures.

    Args:
      real: statistics of real pictures.
      generated: statistics of each generator's, by its name.
      names: class names, one for each column.
      top: how many classes at most; None for all.
      unlabelled: whether class 0 stands for "unlabelled" and is left out.

    Raises:
      GanxError: class lists that do not fit, or real pictures without any class.
    """
    if len(names) != real.classes:
        raise GanxError(f"{len(names)} class names for {real.classes} classes; give one list for both")
    order = _order(real, top, 1 if unlabelled else 0)
    mean, error = real.mean()[order], _error(real)[order]
    sides = {name: _side(real, moments, order, names, unlabelled) for name, moments in generated.items()}
    shown = tuple(names[i] for i in order)
    return Comparison(shown, order, mean, error, real.presence()[order], sides, real.n)


def _order(real: Moments, top: int | None, first: int) -> np.ndarray:
    """Classes that occur in real pictures, by area; equal ones in the order of their index."""
    ranked = np.argsort(-real.total, kind="stable")
    found = [i for i in ranked if i >= first and real.total[i] > 0][:top]
    if not found:
        raise GanxError("the segmenter finds no class in the real pictures; choose one that fits them")
    return np.asarray(found, np.int64)


def _error(moments: Moments) -> np.ndarray:
    """Standard error of the mean areas, percent."""
    return np.sqrt(np.maximum(np.diag(moments.covariance()), 0) / moments.n)


def _side(real: Moments, found: Moments, order: np.ndarray, names: Sequence[str], unlabelled: bool) -> Side:
    distance = fsd(real, found)
    mean, theirs = real.mean()[order], found.mean()[order]
    error_real, error = _error(real)[order], _error(found)[order]
    spread = np.hypot(error_real, error)
    gap = theirs - mean
    presence, presence_real = found.presence()[order], real.presence()[order]
    return Side(
        theirs,
        error,
        gap / mean,
        np.hypot(error, theirs / mean * error_real) / mean,
        np.divide(gap, spread, out=np.where(gap == 0, 0.0, np.copysign(np.inf, gap)), where=spread > 0),
        presence,
        presence / presence_real - 1,
        distance,
        _hallucinated(real, found, names, 1 if unlabelled else 0),
    )


def _hallucinated(real: Moments, found: Moments, names: Sequence[str], first: int) -> tuple[tuple[str, float], ...]:
    only = [i for i in range(first, real.classes) if real.total[i] == 0 and found.total[i] > 0]
    areas = found.mean()
    return tuple((names[i], float(areas[i])) for i in sorted(only, key=lambda i: -areas[i]))
