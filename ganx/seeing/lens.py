"""Omissions in the report: what a generator leaves out of its distribution, and out of single pictures."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ganx.data import open_source
from ganx.data.worlds import PictureWorld
from ganx.gan import Gan
from ganx.lens import Chart, Figure, ImageGrid, Inquiry, Section, Table, register
from ganx.pictures import shrink
from ganx.seeing import pictures
from ganx.seeing.chain import Chain, cut
from ganx.seeing.commands import numbers
from ganx.seeing.compare import Comparison, Side, compare
from ganx.seeing.evaluate import GATE, inversion_report
from ganx.seeing.measure import measure, of_gan, of_source
from ganx.seeing.methods import Inversion, InvertOptions, invert
from ganx.seeing.omissions import Omissions
from ganx.seeing.plot import plot
from ganx.seeing.sensitivity import SelfCheck, self_check
from ganx.segment import Segmenter
from ganx.segmenters import ColourOracle

_SHOWN, _STEPS, _BATCH = 8, 200, 128
_LEAD = (
    "Real and generated pictures are segmented alike and the area of every class is compared: a class that gets too "
    "few pixels is one that the generator avoids. Then real pictures are reconstructed by searching for their code. "
    "What a reconstruction leaves out is evidence only as far as the same search finds the generator's own pictures."
)
_PLOT = (
    "Above: mean area of each class in real pictures (bars) and generated ones (line), the most frequent first. Below: "
    "the relative difference; −1 means never drawn. Thin lines are 95% intervals."
)
_BLOCKS = "Pictures of the world, their reconstructions, both segmentations, and in colour what was left out."


@register("omissions", order=55, title="What it leaves out")
def omissions(gan: Gan, inquiry: Inquiry) -> Section | None:
    """Segmentation statistics against the world, and reconstructions of its pictures; None without a colour world."""
    world = _world(gan, inquiry.source)
    if world is None or gan.spec.classes:
        return None
    segmenter = ColourOracle(world)
    found, check = _statistics(gan, world, segmenter, inquiry)
    side = found.sides["generated"]
    images = jnp.asarray(world.gather(np.arange(_SHOWN)).image).astype(jnp.float32) / 127.5 - 1
    inverted, own = _inverted(cut(gan), images, inquiry)
    left = _omissions(segmenter, images, inverted)
    deltas = dict(zip(found.names, side.delta.tolist(), strict=True))
    figures: list[Figure] = [
        ImageGrid(plot(found)[None, None], _PLOT, cell=640),
        _areas(found),
        _classes(found),
        _blocks(segmenter, images, inverted),
        Table(pictures.header(deltas), tuple(pictures.rows(left, deltas)), _said(check)),
    ]
    measured = inversion_report(np.asarray(images), inverted)
    lead = f"{_LEAD} {_found(side, check, own['pixels'])}"
    facts = {"statistics": numbers(found, check), "inversion": measured, "inversion_of_own_samples": own}
    arrays = {"reconstructions": inverted.images, "codes": inverted.z, "transitions": left.total}
    return Section(lead, tuple(figures), facts, arrays)


def _found(side: Side, check: SelfCheck, correlation: float) -> str:
    """The three main numbers in words."""
    enough = "so well that omissions can be believed" if correlation >= GATE["pixels"] else "too badly to accuse anyone"
    return (
        f"FSD {side.distance.value:.3g}; two halves of the real pictures are {check.distance.mean():.3g} apart. "
        f"Its own pictures are found again with a correlation of {correlation:.3f}, {enough}."
    )


def _world(gan: Gan, source: str) -> PictureWorld | None:
    if not source.startswith("world:") or gan.spec.channels != 3:
        return None
    world = open_source(source)
    return dataclasses.replace(world, size=gan.spec.resolution) if isinstance(world, PictureWorld) else None


def _statistics(gan: Gan, world: PictureWorld, segmenter: Segmenter, inquiry: Inquiry) -> tuple[Comparison, SelfCheck]:
    n = max(4, min(inquiry.samples, len(world)))
    real = measure(of_source(world, segmenter), n, _BATCH)
    drawn = measure(of_gan(gan, segmenter, jax.random.fold_in(inquiry.key, 0), "generated"), n, _BATCH)
    found = compare(real.moments(), {"generated": drawn.moments()}, real.names)
    return found, self_check(real.counts, real.pixels, real.names)


def _inverted(chain: Chain, images: jax.Array, inquiry: Inquiry) -> tuple[Inversion, dict[str, float]]:
    """Inversion of the images by z alone (the report trains no inverses), and its measures on the GAN's own samples."""
    gan, n = chain.gan, len(images)
    z = gan.latents(jax.random.fold_in(inquiry.key, 2), n)
    own = np.clip(np.asarray(gan(z)), -1, 1)
    options = InvertOptions("a", _STEPS, starts=1)
    found = invert(chain, np.concatenate([images, own]), options, key=jax.random.fold_in(inquiry.key, 1))
    theirs, ours = (jax.tree.map(lambda leaf, part=part: leaf[part], found) for part in (slice(n), slice(n, None)))
    return theirs, inversion_report(own, ours, np.asarray(z))


def _omissions(segmenter: Segmenter, images: jax.Array, inverted: Inversion) -> Omissions:
    before, after = (pictures.labels_of(segmenter, np.asarray(x)) for x in (images, inverted.images))
    return Omissions.of_labels(before, after, segmenter.names)


def _areas(found: Comparison) -> Chart:
    side = found.sides["generated"]
    series = {"real": found.mean, "generated": side.mean}
    errors = {"real": 1.96 * found.error, "generated": 1.96 * side.error}
    caption = "How much of the picture each class covers, on average."
    return Chart("bars", found.names, series, caption, errors, "% of the pixels", "sqrt")


def _classes(found: Comparison) -> Table:
    side = found.sides["generated"]
    rows = tuple(
        (name, float(found.mean[i]), float(side.mean[i]), _signed(side.delta[i]), _signed(side.presence_delta[i]))
        for i, name in enumerate(found.names)
    )
    columns = ("class", "% of pixels, real", "% of pixels, generated", "relative delta", "delta of presence")
    return Table(columns, rows, "Presence tells classes that are drawn less often from those drawn smaller.")


def _blocks(segmenter: Segmenter, images: jax.Array, inverted: Inversion) -> ImageGrid:
    x = np.asarray(images)
    before, after = (pictures.labels_of(segmenter, y) for y in (x, inverted.images))
    shown = pictures.blocks(x, inverted.images, before, after, len(segmenter.names)).swapaxes(0, 1)
    rows = ("picture", "redrawn", "segmented", "redrawn, segmented", "left out")
    return ImageGrid(shrink(np.ascontiguousarray(shown), 128), _BLOCKS, rows=rows, cell=104)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _said(check: SelfCheck) -> str:
    return (
        f"What became of each class in {_SHOWN} reconstructions. Two real halves differ by |z| ≤ {check.largest_z:.1f}."
    )
