"""Omissions in the report: what a generator leaves out of its distribution, and out of single pictures."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ganx.data import open_source
from ganx.data.worlds import PictureWorld
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.lens import Chart, Figure, ImageGrid, Inquiry, Section, Table, register
from ganx.pictures import heat, shrink, to_uint8
from ganx.seeing import gather, pictures
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
_FOUND_AGAIN = (
    "Real pictures, and pictures that the generator drew itself, are reconstructed by the same search for their code. "
    "What is lost of its own pictures is the search's fault; what more is lost of real ones, the generator cannot draw."
)
_REDRAWN = "{} picture, the nearest that the generator was found to draw, and their distance (bright: far)."
_BLOCKS = "Pictures of the world, their reconstructions, both segmentations, and in colour what was left out."


@register("omissions", order=55, title="What it leaves out")
def omissions(gan: Gan, inquiry: Inquiry) -> Section | None:
    """Segmentation statistics against a colour world, and reconstructions of its pictures.

    Of other real pictures, which nothing segments, reconstructions alone; None where there are none.
    """
    if gan.spec.classes:
        return None
    world = _world(gan, inquiry.source)
    if world is None:
        return _photographs(gan, inquiry)
    segmenter = ColourOracle(world)
    found, check = _statistics(gan, world, segmenter, inquiry)
    side = found.sides["generated"]
    images = jnp.asarray(world.gather(np.arange(_SHOWN)).image).astype(jnp.float32) / 127.5 - 1
    inverted, own, *_ = _inverted(cut(gan), images, inquiry)
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
    lead = f"{_LEAD} {_found(side, check, own)}"
    facts = {"statistics": numbers(found, check), "inversion": measured, "inversion_of_own_samples": own}
    arrays = {"reconstructions": inverted.images, "codes": inverted.z, "transitions": left.total}
    return Section(lead, tuple(figures), facts, arrays)


def _photographs(gan: Gan, inquiry: Inquiry) -> Section | None:
    images = _real(gan, inquiry)
    if images is None:
        return None
    chain = cut(gan)
    inverted, own, drawn, again = _inverted(chain, jnp.asarray(images), inquiry)
    measured = inversion_report(images, inverted)
    figures = (
        _redrawn(images, inverted.images, "A real"),
        _redrawn(drawn, again.images, "The generator's own"),
        Table(
            ("", "correlation of pixels", "mean |difference|", "PSNR, dB"),
            tuple((name, x["pixels"], x["l1"], x["psnr"]) for name, x in (("real", measured), ("its own", own))),
            "Pixels run from -1 to 1.",
        ),
    )
    believed = "so what real ones lose can be believed" if _enough(own) else "too badly to accuse it of anything"
    lead = f"{_FOUND_AGAIN} Its own pictures are found with a correlation of {own['pixels']:.3f}, {believed}."
    facts = {"inversion": measured, "inversion_of_own_samples": own}
    arrays = {"reconstructions": inverted.images, "codes": inverted.z}
    return Section(lead, figures, facts, arrays)


def _real(gan: Gan, inquiry: Inquiry) -> np.ndarray | None:
    """Pictures of a source at the generator's size; None where it is not known, or would have to be fetched first."""
    trained_on = inquiry.source == gan.spec.data
    if not inquiry.source or (trained_on and inquiry.source.startswith(("world:", "tfds:"))):
        return None
    try:
        return gather.images([inquiry.source], gan, _SHOWN).images
    except GanxError:
        if trained_on:  # its training pictures need not be on this machine; others were asked for
            return None
        raise


def _redrawn(images: np.ndarray, redrawn: np.ndarray, whose: str) -> ImageGrid:
    apart = np.abs(images - redrawn).mean(-1)
    shown = [np.broadcast_to(to_uint8(x), (*x.shape[:3], 3)) for x in (images, redrawn)]
    rows = ("picture", "redrawn", "distance")
    pixels = shrink(np.ascontiguousarray(np.stack([*shown, heat(apart, 0.5)])), 128)
    return ImageGrid(pixels, _REDRAWN.format(whose), rows=rows, cell=104)


def _enough(own: dict[str, float]) -> bool:
    return own["pixels"] >= GATE["pixels"]


def _found(side: Side, check: SelfCheck, own: dict[str, float]) -> str:
    """The three main numbers in words."""
    enough = "so well that omissions can be believed" if _enough(own) else "too badly to accuse it of anything"
    return (
        f"FSD {side.distance.value:.3g}; two halves of the real pictures are {check.distance.mean():.3g} apart. "
        f"Its own pictures are found again with a correlation of {own['pixels']:.3f}, {enough}."
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


def _inverted(
    chain: Chain, images: jax.Array, inquiry: Inquiry
) -> tuple[Inversion, dict[str, float], np.ndarray, Inversion]:
    """Inversion of the images by z alone (the report trains no inverses), its measures on the GAN's own samples, those
    samples, and their inversion.
    """
    gan, n = chain.gan, len(images)
    z = gan.latents(jax.random.fold_in(inquiry.key, 2), n)
    own = np.clip(np.asarray(gan(z)), -1, 1)
    options = InvertOptions("a", _STEPS, starts=1)
    found = invert(chain, np.concatenate([images, own]), options, key=jax.random.fold_in(inquiry.key, 1))
    theirs, ours = (jax.tree.map(lambda leaf, part=part: leaf[part], found) for part in (slice(n), slice(n, None)))
    return theirs, inversion_report(own, ours, np.asarray(z)), own, ours


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
