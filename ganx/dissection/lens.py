"""GAN Dissection in the report: what the units of a middle stage draw, and what goes when they go."""

from __future__ import annotations

import numpy as np

from ganx.data import open_source
from ganx.data.worlds import PictureWorld
from ganx.dissection import figures
from ganx.dissection.dissect import dissect
from ganx.dissection.effects import Effect, ablation_curve
from ganx.dissection.interventions import ablate
from ganx.dissection.result import Dissection
from ganx.dissection.samples import Samples
from ganx.gan import Gan
from ganx.lens import Chart, Figure, ImageGrid, Inquiry, Section, register
from ganx.pictures import shrink, to_uint8
from ganx.segmenters import BasicColours, ColourOracle

_IMAGES, _CURVE_IMAGES, _UNITS, _CLASSES, _SHOWN = 128, 48, 12, 3, 6
_STEPS = (0, 1, 2, 4, 8, 16, 32)
_COLOURS = (
    " Nothing is known of what this GAN's pictures show, so the classes are the basic colours (--segmenter colours)."
)
_LEAD = (
    "Every unit of one layer is a small picture. Where it is bright is compared with where each class is, over many "
    "images; the overlap (IoU) names the unit. Whether it also causes the class is another question: units are "
    "switched off, and the pixels of the class are counted again. For all units, and to remove or draw a class, run "
    "ganx dissect with --out REPORT/dissection: its pages link to this one."
)


@register("dissection", order=45, title="Which unit draws what (GAN Dissection)")
def dissection(gan: Gan, inquiry: Inquiry) -> Section | None:
    """Units of the stage at a quarter of the resolution; None for grey pictures and for GANs without feature maps.

    Classes are those of the world that the GAN was trained on, or else the basic colours.
    """
    stage = middle(gan)
    if gan.spec.channels != 3 or stage is None:
        return None
    oracle = _oracle(gan, inquiry.source)
    n = min(_IMAGES, inquiry.samples)
    found = dissect(gan, stage, oracle, n=n, key=inquiry.key, topk=_SHOWN)
    samples = Samples(gan, stage, oracle, inquiry.key, n)
    shown = [int(u) for u in found.report_order()[:_UNITS]]
    classes = _largest(found)
    few = Samples(gan, stage, oracle, inquiry.key, min(_CURVE_IMAGES, n))
    curves = {found.names[c]: ablation_curve(few, found.rank(c), _steps(found)) for c in classes}
    pictures: list[Figure] = [figures.gallery(found, samples, shown, _SHOWN)]
    pictures += [chart] if (chart := figures.bars(found)) else []
    pictures += [_curve(found, curves), _removed(gan, samples, found, classes), figures.table(found, 30)]
    removed = {name: effect.removed(found.label(name)).tolist() for name, effect in curves.items()}
    damage = {name: effect.damage(found.label(name)).tolist() for name, effect in curves.items()}
    numbers = {
        "stage": stage,
        "images": n,
        "interpretable": int(found.interpretable().sum()),
        "units": found.units,
        "labels": found.label_names(),
        "removed": removed,
        "damage": damage,
        "ablated": list(_steps(found)),
    }
    arrays = {"iou": found.iou, "iqr": found.iqr, "thresholds": found.thresholds, "labels": found.labels}
    lead = _LEAD + (_COLOURS if isinstance(oracle, BasicColours) else "")
    return Section(lead, tuple(pictures), numbers, arrays)


def middle(gan: Gan) -> str | None:
    """The stage with the largest maps of at most a quarter of the resolution; None if no stage has maps."""
    sides = {name: shape[0] for name, shape in gan.shapes.items() if len(shape) == 3 and name != gan.stages[-1]}
    fit = {name: side for name, side in sides.items() if side <= gan.spec.resolution // 4} or sides
    return max(fit, key=lambda name: (fit[name], gan.stages.index(name))) if fit else None


def _oracle(gan: Gan, source: str) -> ColourOracle | BasicColours:
    world = open_source(source) if source.startswith("world:") else None
    return ColourOracle(world.replace(size=gan.spec.resolution)) if isinstance(world, PictureWorld) else BasicColours()


def _largest(found: Dissection) -> list[int]:
    """The classes that most units have for a label."""
    counts = np.bincount(found.labels, minlength=len(found.names))
    counts[0] = 0
    return [int(i) for i in np.argsort(-counts, kind="stable")[:_CLASSES] if counts[i]]


def _steps(found: Dissection) -> tuple[int, ...]:
    return tuple(step for step in _STEPS if step <= found.units)


def _curve(found: Dissection, curves: dict[str, Effect]) -> Chart:
    series = {name: 100 * np.clip(effect.removed(found.label(name)), 0, 1) for name, effect in curves.items()}
    caption = "How much of a class is gone when its best units by IoU are switched off everywhere, by number of units."
    return Chart("line", tuple(map(str, _steps(found))), series, caption, unit="% of the class's pixels")


def _removed(gan: Gan, samples: Samples, found: Dissection, classes: list[int]) -> ImageGrid:
    z, label = samples.latents(np.arange(_SHOWN))
    count = max(1, found.units // 8)
    rows = [gan(z, label=label)]
    rows += [ablate(gan, found.stage, z, found.rank(c)[:count], label=label) for c in classes]
    pictures = shrink(to_uint8(np.stack([np.asarray(row) for row in rows])), 128)
    names = ("untouched", *(f"without {found.names[c]}" for c in classes))
    return ImageGrid(pictures, f"The same samples without the {count} units that overlap a class most.", rows=names)
