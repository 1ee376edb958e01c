"""ModularGAN in the report: what each module does, where, and whether they go together."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from ganx.gan import Gan
from ganx.lens import Figure, ImageGrid, Inquiry, Section, Table, register
from ganx.modulargan.evaluate import FAMILIES, Evaluation, evaluate
from ganx.modulargan.strips import codes, grid, source_images, strip
from ganx.modulargan.translator import Composition, Translator

_ROWS = 6
_PLACES = ("attribute", "precision", "guessing", "IoU", "by pixel", "guessing by pixel")
_LEAD = (
    "This network is put together from modules, one an attribute, which were trained apart and run here in a chain: "
    "each changes the features where its mask is bright and leaves the rest as it is."
)
_BASELINE = (
    "This network changes attributes of a picture as a whole, without modules. It is measured here as a ModularGAN on "
    "the same world is, so that the tables of both can be laid side by side."
)


@register("modules", order=65, title="Programs of attributes, and the modules that run them", pictures=False)
def modules(gan: Gan, inquiry: Inquiry) -> Section | None:
    """A strip of a program with all modules, a grid over two of them and, on a world, the errors; of a baseline the
    errors alone."""
    source = inquiry.source or gan.spec.data
    if gan.spec.family not in FAMILIES or not source:
        return None
    figures: list[Figure] = []
    numbers: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    if gan.spec.family == "modular":
        figures, made, program = _composed(Translator(gan), source, inquiry.key)
        numbers = {"program": program, "masks": np.asarray(made.masks).mean((1, 2, 3, 4)).tolist()}
        arrays = {"masks": np.asarray(made.masks)}
    if gan.spec.data.startswith("world:"):
        found = evaluate(gan, n=min(inquiry.samples, 256))
        figures += tables(found)
        numbers |= as_numbers(found)
    if not figures:
        return None
    return Section(_LEAD if arrays else _BASELINE, tuple(figures), numbers, arrays)


def _composed(model: Translator, source: str, key: jax.Array) -> tuple[list[Figure], Composition, str]:
    """A strip and, of two modules or more, a grid; the program that the strip shows, and what it made."""
    program = ",".join(f"{name}={values[-1]}" for name, values in model.attributes.items())
    given, label = None, None
    if model.module.classes:
        begin, label = codes(model, _ROWS, seed=int(jax.random.randint(key, (), 0, 2**31 - 1)))
    else:
        begin = given = source_images(model, source, _ROWS)
    made = model.compose(begin, program, label)
    pictures, columns = strip(given, made)
    figures: list[Figure] = [
        ImageGrid(pictures, f"The program {program}, step by step. Brighter: more of the new features.", (), columns)
    ]
    names = list(model.attributes)
    if len(names) > 1:
        one = None if label is None else label[0]
        cells, rows, across = grid(model, begin[0], names[0], names[1], one)
        figures.append(ImageGrid(cells, "One picture under all values of two modules.", rows, across))
    return figures, made, program


def tables(found: Evaluation) -> list[Figure]:
    """The evaluation as tables: errors, then where the changes lie."""
    judge = ", ".join(f"{name} {share:.1%}" for name, share in found.classifier.items())
    named = [(" + ".join(chosen), e) for chosen, e in found.errors.items()]
    named += [(f"{text}, which training never showed", e) for text, e in found.held_out.items()]
    rows = tuple((name, 100 * e.any, 100 * e.mean, 100 * e.others) for name, e in named)
    caption = (
        f"Test images whose values the judge does not find, in %. The judge itself is right on clean images: {judge}. "
        f"Over all orders of all modules the error is {100 * found.orders.mean:.1f} % on average and differs by "
        f"{100 * found.orders.spread:.1f} points. "
        f"Asking for what is there already changes a picture by {found.idempotence:.3f} of a range of 2."
    )
    shown: list[Figure] = [Table(("attributes", "any wrong", "mean wrong", "others changed"), rows, caption)]
    where = tuple(
        (name, m.average_precision, m.chance, m.iou, m.by_pixel, m.pixel_chance, m.inside, m.outside)
        for name, m in found.localisation.items()
    )
    place = (
        "Where each attribute's change lies, against the true change of the same picture: average precision of the "
        "module's mask (without modules: of the difference that was made), that of guessing, and overlap at one "
        "half, over cells of which more than half changed; the first two again over pixels, for small changes; and the "
        "mean difference from the truth inside and outside of the change."
    )
    if where:
        shown.append(Table((*_PLACES, "inside", "outside"), where, place))
    return shown


def as_numbers(found: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON can hold it."""
    flat = dataclasses.asdict(found)
    return {**flat, "errors": {"+".join(chosen): e for chosen, e in flat["errors"].items()}}
