"""PyTorch twin of counting where units and labels meet, by image and label, as the authors' tool does."""

from __future__ import annotations

import functools
import importlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Result = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Intersections `[L, U]`, label areas `[L]`, unit areas by category `[C, U]` and pixels by category `[C]`."""


def tally(
    features: torch.Tensor, labels: torch.Tensor, thresholds: torch.Tensor, category: torch.Tensor, kinds: int
) -> Result:
    """Counts of maps `[n, U, h, w]` and labels int64 `[n, K, H, W]`: masks are met with each label of their image."""
    count, units, size = len(category), features.shape[1], labels.shape[2:]
    both = torch.zeros(count, units, dtype=torch.long)
    area, total = torch.zeros(kinds, units, dtype=torch.long), torch.zeros(kinds, dtype=torch.long)
    label_area = torch.zeros(count, dtype=torch.long)
    for maps, segmentation in zip(features, labels, strict=True):
        active = F.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0] > thresholds[:, None, None]
        counts = torch.bincount(segmentation.flatten(), minlength=count)
        label_area += counts
        present = counts.nonzero()[:, 0]
        seen = torch.zeros(kinds, dtype=torch.long)
        seen[category[present]] = 1
        total += seen * segmentation[0].numel()
        area += seen[:, None] * active.int().sum((1, 2))
        for label in present[present > 0].tolist():
            shown = (segmentation == label).any(0)
            both[label] += (active * shown).int().sum((1, 2))
    return both.numpy(), label_area.numpy(), area.numpy(), total.numpy()


def original(
    clone: str, features: torch.Tensor, labels: torch.Tensor, thresholds: torch.Tensor, category: np.ndarray
) -> Callable[[], Result]:
    """`collect_bincounts` of a clone of CSAILVision/gandissect over the same arrays; includes its scores and its files.

    The clone imports torchvision and scikit-image. Sampling is told how corners are aligned: the clone was written
    for a PyTorch whose default was the other one.
    """
    if not (Path(clone) / "netdissect/dissection.py").is_file():
        raise SystemExit(f"{clone} is no clone of CSAILVision/gandissect")
    sys.path.insert(0, clone)
    try:
        module: Any = importlib.import_module("netdissect.dissection")
    except ImportError as error:
        raise SystemExit(f"{error}; the clone needs torchvision and scikit-image beside what is here") from None
    net = _Played(features, labels, category)
    aligned = functools.partial(F.grid_sample, align_corners=True)

    def run() -> Result:
        usual, F.grid_sample = F.grid_sample, aligned
        try:
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "layer").mkdir()
                found = module.collect_bincounts(folder, net, _Loader(len(features)), {"layer": thresholds}, net)
        finally:
            F.grid_sample = usual
        _, _, total, label_area, area, both = found
        return tuple(x.numpy() for x in (both["layer"], label_area, area["layer"], total))  # type: ignore[return-value]

    return run


class _Loader(list):
    """Batches of one image, by number."""

    batch_size = 1

    def __init__(self, n: int):
        super().__init__(range(n))


class _Played:
    """Stands for the clone's network and its segmenter: gives the maps and labels of one image after the other."""

    def __init__(self, features: torch.Tensor, labels: torch.Tensor, category: np.ndarray):
        self.features, self.labels, self.category, self.at = features, labels, category, 0

    def parameters(self) -> Any:
        return iter([self.features])

    def retained_features(self) -> dict[str, torch.Tensor]:
        return {"layer": self.features[self.at : self.at + 1]}

    def get_label_and_category_names(self) -> tuple[list[tuple[str, str]], list[str]]:
        kinds = [f"category {i}" for i in range(int(self.category.max()) + 1)]
        return [(f"label {i}", kinds[kind]) for i, kind in enumerate(self.category)], kinds

    def run_and_segment_batch(self, batch: int, model: Any, want_bincount: bool, want_rgb: bool) -> tuple:
        self.at = batch
        shown = self.labels[batch : batch + 1]
        counts = torch.bincount(shown.flatten(), minlength=len(self.category))
        return shown, counts[None], None, shown.shape[2:]
