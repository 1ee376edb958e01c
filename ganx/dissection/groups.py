"""Groups of units, such as IGAN's, scored like units: what their mean map overlaps, and what goes without them."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from ganx.dissection.effects import Effect, effects
from ganx.dissection.result import Dissection
from ganx.dissection.samples import Samples
from ganx.gan import Gan
from ganx.grouped import read_grouping
from ganx.lens import Section, Table

COLUMNS = ("group", "units", "label", "IoU", "of it lost without", "damage elsewhere", "class that loses most", "of it")
_COMMON = 0.002  # share of the pixels below which a class's losses are mostly noise


@dataclasses.dataclass(frozen=True)
class Groups:
    """Units of one stage in groups.

    Attributes:
      stage: the stage.
      labels: int `[U]`, group of every unit, from 0 up.
    """

    stage: str
    labels: np.ndarray

    @property
    def masks(self) -> np.ndarray:
        """float32 `[k, U]`, 1 where a unit belongs to a group."""
        return (self.labels == np.arange(self.labels.max() + 1)[:, None]).astype(np.float32)

    @property
    def means(self) -> np.ndarray:
        """float32 `[k, U]` that makes a group's map of those of its units: their mean; 0 for an empty group."""
        masks = self.masks
        return masks / np.maximum(masks.sum(1, keepdims=True), 1)


def read_groups(path: str | Path, gan: Gan) -> Groups | None:
    """Groups of a run, a folder or a file, see `ganx.grouped.read_grouping`; None where there are none.

    Raises:
      GanxError: nothing there, damaged, or groups of another GAN.
    """
    found = read_grouping(path, gan)
    if found is None:
        return None
    return Groups(found.stage, found.labels.astype(np.int64))


def score(samples: Samples, groups: Groups) -> Effect:
    """Ablates every group alone, everywhere: edit g is without group g."""
    return effects(samples, groups.masks)


def rows(found: Dissection, groups: Groups, effect: Effect) -> list[tuple[str | int | float, ...]]:
    """One row a group, those that cause their own label most first.

    Args:
      found: `dissect(…, mix=groups.means)`.
    """
    lost = 1 - effect.after / np.maximum(effect.before, 1)
    common = effect.before > _COMMON * effect.pixels
    common[0] = False
    most = np.where(common, lost, -np.inf).argmax(1)
    iou, own = found.best(found.iou), lost[np.arange(found.units), found.labels]
    sizes = groups.masks.sum(1)
    told: list[tuple[Any, ...]] = [
        (
            int(g), int(sizes[g]), found.names[found.labels[g]], float(iou[g]), float(own[g]),
            float(effect.damage(int(found.labels[g]))[g]), found.names[most[g]], float(lost[g, most[g]]),
        )
        for g in np.argsort(-own, kind="stable")
    ]  # fmt: skip
    return told


def section(found: Dissection, groups: Groups, effect: Effect) -> Section:
    """The rows as a section of a page."""
    caption = (
        "Groups: the class that a group's mean map overlaps most, and the shares of pixels lost without its units."
    )
    lead = (
        f"The units of {groups.stage} in {len(effect.after)} groups. Each group is named like a unit, by its mean map, "
        "and then switched off everywhere."
    )
    return Section(lead, (Table(COLUMNS, tuple(rows(found, groups, effect)), caption),))


def write(path: Path, found: Dissection, groups: Groups, effect: Effect) -> None:
    """The rows as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows(found, groups, effect))
