"""A dissection as pictures: units on the images that excite them, and units counted by concept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganx.dissection.result import Dissection
from ganx.dissection.samples import Samples
from ganx.dissection.upsample import upsample
from ganx.lens import Chart, ImageGrid, Table
from ganx.pictures import shrink, to_uint8

_OUTLINE = np.array([255, 214, 0])
_DARK = 0.35
_SIDE = 128


def gallery(dissection: Dissection, samples: Samples, units: Sequence[int], columns: int = 6) -> ImageGrid:
    """One row a unit: the images that excite it most, dark where it is not active, its region outlined.

    `samples` are those that were dissected.
    """
    wanted = dissection.top_index[np.asarray(units), :columns]
    images, maps = _images(samples, np.unique(wanted))
    rows, iou = [], dissection.best(dissection.iou)
    for unit, chosen in zip(units, wanted, strict=True):
        level = dissection.thresholds[dissection.labels[unit], unit]
        rows.append([_masked(images[i], maps[i][..., unit], level) for i in chosen])
    names = tuple(f"{u}: {dissection.names[dissection.labels[u]]} {iou[u]:.2f}" for u in units)
    caption = (
        f"Units of {dissection.stage}, each on the images that excite it most. "
        "Its label is the class that the outlined regions match best; the number is their IoU over all images."
    )
    return ImageGrid(np.array(rows), caption, rows=names, cell=84)


def _images(samples: Samples, index: np.ndarray) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    images: dict[int, np.ndarray] = {}
    maps: dict[int, np.ndarray] = {}
    for start in range(0, len(index), samples.batch):
        part = np.resize(index[start : start + samples.batch], samples.batch)  # one size, one program
        z, label = samples.latents(part)
        act = samples.gan.until(samples.stage, z, label=label)
        pictures = to_uint8(np.asarray(samples.gan.since(samples.stage, act)))
        images |= dict(zip(part.tolist(), pictures, strict=True))
        maps |= dict(zip(part.tolist(), np.asarray(act.features, np.float32), strict=True))
    return images, maps


def _masked(image: np.ndarray, unit: np.ndarray, level: float) -> np.ndarray:
    """The image uint8 `[H, W, C]` dark outside the unit's mask, with the mask's outline."""
    mask = np.asarray(upsample(unit[..., None], image.shape[:2]))[0] >= level
    inner = mask.copy()
    for axis in (0, 1):
        for step in (1, -1):
            inner &= np.roll(mask, step, axis)
    shown = np.broadcast_to(image, (*image.shape[:2], 3)) * np.where(mask, 1, _DARK)[..., None]
    shown = np.where((mask & ~inner)[..., None], _OUTLINE, shown)
    return shrink(shown.astype(np.uint8), _SIDE)


def bars(dissection: Dissection, rule: str = "paper") -> Chart | None:
    """Interpretable units by concept, the largest groups first; None where there are none."""
    labels = dissection.labels[dissection.interpretable(rule)]
    if not len(labels):
        return None
    counts = np.bincount(labels, minlength=len(dissection.names))
    order = [i for i in np.argsort(-counts, kind="stable") if counts[i]][:30]
    caption = f"{dissection.stage}: {len(labels)} of {dissection.units} units match a concept, by the paper's cut-offs."
    return Chart(
        "bars", tuple(dissection.names[i] for i in order), {"units": counts[order].astype(float)}, caption, unit="units"
    )


def table(dissection: Dissection, limit: int = 200) -> Table:
    """Units in the order of the authors' report, with scores and chance."""
    columns = ("unit", "label", "category", "IoU", "by chance", "p", "quality ratio", "interpretable")
    rows = tuple(row for row in table_rows(dissection)[:limit])
    return Table(columns, rows, f"The units of {dissection.stage}. Chance: independent masks of the same areas.")


def table_rows(dissection: Dissection) -> list[tuple[str | int | float, ...]]:
    """All rows of `table`."""
    iou, iqr, chance = (dissection.best(x) for x in (dissection.iou, dissection.iqr, dissection.counts.chance()))
    p = dissection.best(dissection.significance()[1])
    passed, labels = dissection.interpretable(), dissection.labels
    return [
        (
            int(u),
            dissection.names[labels[u]],
            dissection.categories[labels[u]],
            *(float(x[u]) for x in (iou, chance, p, iqr)),
            "yes" if passed[u] else "no",
        )
        for u in dissection.report_order()
    ]
