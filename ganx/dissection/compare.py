"""Layers, models and data sets side by side (§9)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from ganx.dissection.result import Dissection


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One row a dissection.

    Attributes:
      titles: of the dissections.
      units: int `[D]`, how many each has.
      interpretable: int `[D]`, how many pass the cut-off.
      classes: int `[D]`, how many distinct labels these have.
      mean_iou: float `[D]`, of the interpretable units at their labels; 0 where there are none.
      by_category: int `[D]` of interpretable units, by category.
      by_label: int `[D]` of interpretable units, by "name (category)" where names repeat, else by name.
    """

    titles: tuple[str, ...]
    units: np.ndarray
    interpretable: np.ndarray
    classes: np.ndarray
    mean_iou: np.ndarray
    by_category: Mapping[str, np.ndarray]
    by_label: Mapping[str, np.ndarray]


def compare(dissections: Mapping[str, Dissection], rule: str = "paper") -> Comparison:
    """Counts units that match a concept. It describes networks; it is no measure of quality (§9)."""
    found = list(dissections.values())
    passed = [d.interpretable(rule) for d in found]
    labels = [d.labels[p] for d, p in zip(found, passed, strict=True)]
    ious = [d.best(d.iou)[p] for d, p in zip(found, passed, strict=True)]
    names = [[d.names[i] for i in chosen] for d, chosen in zip(found, labels, strict=True)]
    kinds = [[d.categories[i] for i in chosen] for d, chosen in zip(found, labels, strict=True)]
    return Comparison(
        tuple(dissections),
        np.array([d.units for d in found]),
        np.array([int(p.sum()) for p in passed]),
        np.array([len(set(chosen.tolist())) for chosen in labels]),
        np.array([float(iou.mean()) if len(iou) else 0.0 for iou in ious]),
        _table(kinds),
        _table(names),
    )


def _table(columns: list[list[str]]) -> dict[str, np.ndarray]:
    """How often each word occurs in each column, the most frequent first."""
    words = dict.fromkeys(word for column in columns for word in column)
    table = {word: np.array([column.count(word) for column in columns]) for word in words}
    return dict(sorted(table.items(), key=lambda item: -item[1].sum()))
