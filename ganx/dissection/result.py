"""What a dissection found, to be ranked, read and kept."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganx.arrays import read_npz
from ganx.dissection.scores import Counts
from ganx.errors import GanxError, unknown

FORMAT = 1
CUTOFFS = {
    "paper": {"iou": 0.05, "accuracy": 0.75},
    "gandissect": {"iou": 0.05, "iqr": 0.01},
    "dissect2020": {"iou": 0.04},
}
"""What a pair must exceed to count as interpretable, by where the rule comes from (§2.5)."""


@dataclasses.dataclass(frozen=True)
class Dissection:
    """Units of one stage against the labels of one segmenter.

    Attributes:
      stage: the stage of the generator.
      names, categories: of every label; label 0 is "none".
      thresholds: float32 `[L, U]`, above which a unit is active, for the pair; rows are equal where a unit has one.
      counts: pixels, see `Counts`.
      labels: int64 `[U]`, the label of each unit.
      top_values, top_index: `[U, k]`, largest spatial maxima and which samples had them.
      null: float64 `[L, U]`, IoU after the labels moved on by one image: what chance gives.
      peaks: float32 `[U]`, 99.5% quantile of each unit: what painting inserts.
      facts: what JSON can hold: how all of this was taken.
      rankings: further scores, float `[U]` by name, such as "glasses-ace"; larger is better.
    """

    stage: str
    names: tuple[str, ...]
    categories: tuple[str, ...]
    thresholds: np.ndarray
    counts: Counts
    labels: np.ndarray
    top_values: np.ndarray
    top_index: np.ndarray
    null: np.ndarray
    peaks: np.ndarray
    facts: Mapping[str, Any]
    rankings: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def units(self) -> int:
        """How many units the stage has."""
        return len(self.labels)

    @property
    def iou(self) -> np.ndarray:
        """float64 `[L, U]`."""
        return self.counts.iou()

    @property
    def iqr(self) -> np.ndarray:
        """float64 `[L, U]`."""
        return self.counts.iqr()

    def best(self, score: np.ndarray) -> np.ndarray:
        """A score `[L, U]` at each unit's own label, `[U]`."""
        return score[self.labels, np.arange(self.units)]

    def label_names(self) -> list[str]:
        """Name of each unit's label."""
        return [self.names[label] for label in self.labels]

    def interpretable(self, rule: str = "paper") -> np.ndarray:
        """Which units exceed the cut-offs of a rule in `CUTOFFS`: bool `[U]`."""
        if rule not in CUTOFFS:
            raise unknown("cut-off rule", rule, CUTOFFS)
        passed = self.labels > 0
        for score, least in CUTOFFS[rule].items():
            passed = passed & (self.best(getattr(self.counts, score)()) > least)
        return passed

    def significance(self) -> tuple[np.ndarray, np.ndarray]:
        """How the pairs stand against chance: 99th percentile of the null IoU per label `[L]`, and p-values `[L, U]`.

        The null of a label is its IoU with every unit after all labels moved on by one image.
        """
        ordered = np.sort(self.null, 1)
        above = np.stack([self.units - np.searchsorted(row, iou) for row, iou in zip(ordered, self.iou, strict=True)])
        return np.quantile(self.null, 0.99, axis=1), (1 + above) / (1 + self.units)

    def label(self, name: str | int) -> int:
        """Number of a label by its name."""
        if isinstance(name, int):
            return name
        if name not in self.names[1:]:
            raise unknown("label", name, self.names[1:])
        return self.names.index(name, 1)

    def rank(self, label: str | int, by: str = "iou") -> np.ndarray:
        """Units for a label, best first, int64 `[U]`.

        Args:
          by: "iou", "iqr", or the end of the name of one of `rankings`, such as "ace". Ties go to the larger IoU, then
            to the lower unit.
        """
        number = self.label(label)
        if by in ("iou", "iqr"):
            score = getattr(self, by)[number]
        else:
            name = f"{self.names[number]}-{by}"
            if name not in self.rankings:
                raise unknown("ranking", name, ["iou", "iqr", *self.rankings])
            score = self.rankings[name]
        return np.lexsort((np.arange(self.units), -self.iou[number], -score))

    def report_order(self) -> np.ndarray:
        """Units as the authors list them: interpretable first, then by size of the label's group, its best IoU, IoU."""
        passed, iou = self.interpretable(), self.best(self.iou)
        size = np.bincount(self.labels[passed], minlength=len(self.names))[self.labels]
        top = np.zeros(len(self.names))
        np.maximum.at(top, self.labels, iou)
        return np.lexsort((np.arange(self.units), -iou, self.labels, -top[self.labels], -size, ~passed))

    def with_ranking(self, name: str, score: Any) -> Dissection:
        """The same with one more ranking, `[U]`, larger is better."""
        return dataclasses.replace(self, rankings={**self.rankings, name: np.asarray(score)})

    def save(self, folder: str | Path) -> Path:
        """Writes `STAGE.npz` (arrays) and `STAGE.json` (the rest) into a folder; returns the folder."""
        folder = Path(folder)
        arrays = {f.name: getattr(self.counts, f.name) for f in dataclasses.fields(Counts)}
        arrays |= {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {f"ranking/{name}": score for name, score in self.rankings.items()}
        text = {"format": FORMAT, "stage": self.stage, "names": self.names, "categories": self.categories}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{self.stage}.npz").open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
            (folder / f"{self.stage}.json").write_text(json.dumps({**text, "facts": dict(self.facts)}, indent=1) + "\n")
        except OSError as error:
            raise GanxError(f"cannot write into {folder}: {error.strerror}; choose another folder") from error
        return folder

    @classmethod
    def load(cls, folder: str | Path, stage: str) -> Dissection:
        """Reads what `save` wrote."""
        folder = Path(folder)
        try:
            text = json.loads((folder / f"{stage}.json").read_text())
            arrays = read_npz(folder / f"{stage}.npz", f"dissection of {stage!r}", "run ganx dissect again")
            counts = Counts(**{f.name: arrays[f.name] for f in dataclasses.fields(Counts)})
            rankings = {k.removeprefix("ranking/"): v for k, v in arrays.items() if k.startswith("ranking/")}
            own = {name: arrays[name] for name in _ARRAYS}
            names, kinds = tuple(text["names"]), tuple(text["categories"])
            return cls(stage, names, kinds, counts=counts, facts=text["facts"], rankings=rankings, **own)
        except (OSError, ValueError, KeyError) as error:
            raise GanxError(f"no dissection of {stage!r} in {folder} ({error}); run ganx dissect again") from error


_ARRAYS = ("thresholds", "labels", "top_values", "top_index", "null", "peaks")
