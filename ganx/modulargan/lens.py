"""ModularGAN in the report: what each module does, where, and whether they go together."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ganx.gan import Gan
from ganx.lens import Figure, ImageGrid, Inquiry, Section, Table, register
from ganx.modulargan.evaluate import Evaluation, evaluate
from ganx.modulargan.strips import grid, source_images, strip
from ganx.modulargan.translator import Translator

_ROWS = 6
_LEAD = (
    "This network is put together from modules, one an attribute, which were trained apart and run here in a chain: "
    "each changes the features where its mask is bright and leaves the rest as it is."
)


@register("modules", order=65, title="Modules, and programs of them (ModularGAN)", pictures=False)
def modules(gan: Gan, inquiry: Inquiry) -> Section | None:
    """A strip of a program with all modules, a grid over two of them and, on a world, the errors."""
    source = inquiry.source or gan.spec.data
    if gan.spec.family != "modular" or gan.module.classes or not source:  # type: ignore[attr-defined]
        return None
    model = Translator(gan)
    images = source_images(model, source, _ROWS)
    program = ",".join(f"{name}={values[-1]}" for name, values in model.attributes.items())
    made = model.compose(images, program)
    pictures, columns = strip(images, made)
    figures: list[Figure] = [
        ImageGrid(pictures, f"The program {program}, step by step. Brighter: more of the new features.", (), columns)
    ]
    names = list(model.attributes)
    if len(names) > 1:
        cells, rows, across = grid(model, images[0], names[0], names[1])
        figures.append(ImageGrid(cells, "One picture under all values of two modules.", rows, across))
    numbers: dict[str, Any] = {"program": program, "masks": np.asarray(made.masks).mean((1, 2, 3, 4)).tolist()}
    if source.startswith("world:"):
        found = evaluate(gan, n=min(inquiry.samples, 256))
        figures += tables(found)
        numbers |= as_numbers(found)
    return Section(_LEAD, tuple(figures), numbers, {"masks": np.asarray(made.masks)})


def tables(found: Evaluation) -> list[Figure]:
    """The evaluation as two tables."""
    judge = ", ".join(f"{name} {share:.1%}" for name, share in found.classifier.items())
    rows = tuple((" + ".join(chosen), 100 * e.any, 100 * e.mean, 100 * e.others) for chosen, e in found.errors.items())
    caption = (
        f"Test images whose values the judge does not find, in %. The judge itself is right on clean images: {judge}. "
        f"Between all orders of the modules the error differs by {100 * found.order_spread:.1f} points."
    )
    where = tuple(
        (name, m.average_precision, m.chance, m.iou, m.inside, m.outside) for name, m in found.localisation.items()
    )
    place = (
        "Where each module works, against the true change of the same picture: average precision of its mask, that of "
        "guessing, overlap at one half, and the mean difference from the truth inside and outside of the change."
    )
    return [
        Table(("attributes", "any wrong", "mean wrong", "others changed"), rows, caption),
        Table(("module", "precision", "guessing", "IoU", "inside", "outside"), where, place),
    ]


def as_numbers(found: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON can hold it."""
    flat = dataclasses.asdict(found)
    return {**flat, "errors": {"+".join(chosen): e for chosen, e in flat["errors"].items()}}
