"""What a reconstruction leaves out: photograph and reconstruction segmented alike (Bau et al. 2019, §4.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError
from ganx.seeing.compare import Side
from ganx.seeing.tally import transitions


@dataclasses.dataclass(frozen=True)
class Omissions:
    """What became of each class.

    Attributes:
      names: class names, "none" first.
      counts: int64 `[n, K, K]`: pixels of class b in photograph i that are of class a in its reconstruction.
    """

    names: tuple[str, ...]
    counts: np.ndarray

    @classmethod
    def of_labels(cls, before: np.ndarray, after: np.ndarray, names: Sequence[str]) -> Self:
        """From label maps of the photographs and of the reconstructions, integers `[n, h, w]`."""
        if before.shape != after.shape:
            raise GanxError(f"label maps {list(before.shape)} and {list(after.shape)} differ; segment both alike")
        found = transitions(jnp.asarray(before), jnp.asarray(after), len(names))
        return cls(tuple(names), np.asarray(found).astype(np.int64))

    @property
    def total(self) -> np.ndarray:
        """Counts over the whole data set, int64 `[K, K]`."""
        return self.counts.sum(0)

    def present(self) -> np.ndarray:
        """Pixels of each class in the photographs, int64 `[K]`."""
        return self.total.sum(1)

    def omitted(self) -> np.ndarray:
        """Pixels of each class that are of another one in the reconstruction, int64 `[K]`."""
        return self.present() - np.diag(self.total)

    def fraction(self) -> np.ndarray:
        """Omitted share of each class's area: float64 `[K]`, NaN for a class that no photograph shows."""
        present = self.present()
        return np.divide(self.omitted(), present, out=np.full(len(present), np.nan), where=present > 0)

    def fraction_by_image(self) -> np.ndarray:
        """The same for each photograph, float64 `[n, K]`."""
        present = self.counts.sum(2)
        kept = np.diagonal(self.counts, axis1=1, axis2=2)
        return np.divide(present - kept, present, out=np.full(present.shape, np.nan), where=present > 0)

    def instead(self, index: int) -> list[tuple[str, float]]:
        """What is drawn where a class was omitted: names and shares of the omitted area, the largest first."""
        row = self.total[index].copy()
        row[index] = 0
        order = [i for i in np.argsort(-row, kind="stable") if row[i]]
        return [(self.names[i], float(row[i] / row.sum())) for i in order]

    def ranking(self) -> list[int]:
        """Classes by omitted area, the largest first; those that the photographs do not show are left out."""
        omitted, present = self.omitted(), self.present()
        return [int(i) for i in np.argsort(-omitted, kind="stable") if present[i] and i]


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Whether photographs and the whole distribution tell the same story.

    Attributes:
      names: classes seen on both sides.
      fractions: omitted share of each class in photographs.
      deltas: relative delta of its area in generated pictures.
      correlation: Spearman's rank correlation of `fractions` with `-deltas`; NaN for fewer than three classes.
    """

    names: tuple[str, ...]
    fractions: np.ndarray
    deltas: np.ndarray
    correlation: float


def agreement(omissions: Omissions, classes: Sequence[str], side: Side) -> Agreement:
    """Crosses omissions with segmentation statistics; `classes` are the names in the order of the comparison."""
    fractions = omissions.fraction()
    shared = [(i, omissions.names.index(name)) for i, name in enumerate(classes) if name in omissions.names]
    shared = [(i, j) for i, j in shared if np.isfinite(fractions[j])]
    x = np.asarray([fractions[j] for _, j in shared])
    deltas = np.asarray([side.delta[i] for i, _ in shared])
    rank = _correlation(_ranks(x), _ranks(-deltas)) if len(shared) > 2 else float("nan")
    return Agreement(tuple(classes[i] for i, _ in shared), x, deltas, rank)


def error_ratio(images: np.ndarray, redrawn: np.ndarray, mask: np.ndarray) -> float:
    """Mean squared error inside a mask over that outside; images `[n, H, W, C]`, mask bool `[n, H, W]`."""
    error = np.square(np.asarray(images, np.float64) - redrawn).mean(-1)
    if not mask.any() or mask.all():
        raise GanxError("the mask holds no pixel, or all of them; there is nothing to compare")
    return float(error[mask].mean() / max(error[~mask].mean(), 1e-12))


def _ranks(x: np.ndarray) -> np.ndarray:
    """Ranks, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale else float("nan")
