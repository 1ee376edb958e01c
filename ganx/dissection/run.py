"""What `ganx dissect` does: layers dissected, written to disk, classes removed or drawn, artefacts repaired."""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np
from PIL import Image, UnidentifiedImageError

from ganx.dissection import actions, figures, groups
from ganx.dissection.ace import optimize_ace
from ganx.dissection.book import Book
from ganx.dissection.dissect import dissect
from ganx.dissection.judge import judge
from ganx.dissection.lens import middle
from ganx.dissection.result import Dissection
from ganx.dissection.samples import Known, Samples, check_stage
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.segment import Segmenter, index_of, note
from ganx.segmenters import open_segmenter
from ganx.store import find, load, writable_folder

_GALLERY = 48


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked for; empty texts stand for the default.

    Attributes:
      layers: stages.
      segmenter: its name, or "upernet:FOLDER".
      images, threshold, seed: see `dissect`.
      units, by: how many units an action moves, and their ranking.
      actions: class by action, "ablate" or "insert".
      mask: path of the picture that says where to insert.
      repair: whether artefact units are looked for and removed, of which `units` are tried.
      groups: path of groups of units to be scored, see `ganx.grouped`; the GAN's own by default.
      real, net: real images and the network that they are compared through, see `ganx.dissection.judge`.
    """

    layers: tuple[str, ...] = ()
    segmenter: str = ""
    images: int = 1000
    threshold: str | float = "iqr"
    seed: int = 0
    units: int = 20
    by: str = "iou"
    actions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mask: str = ""
    repair: bool = False
    groups: str = ""
    real: str = ""
    net: str = ""


def run(name: str, out: Path, request: Request, say: Callable[[str], None]) -> Path:
    """Dissects a GAN by name and writes what was found; returns the folder."""
    gan = load(name)
    segmenter = choose_segmenter(gan, request.segmenter)
    if told := note(segmenter):
        say(told)
    for label in request.actions.values():
        index_of(segmenter, label)
    layers = _layers(gan, request)
    mask = read_mask(request.mask) if request.mask else None
    of = _groups(request.groups, name, gan)
    folder = Path(str(writable_folder(out)))
    key = jax.random.key(request.seed)
    critic = None
    if request.repair:
        critic = judge(gan, request.real or gan.spec.data, 5 * request.images, request.net, say)
    book, known = Book(gan, name, folder, request.seed), Known()
    look = functools.partial(
        dissect, segmenter=segmenter, n=request.images, threshold=request.threshold, key=key, progress=say
    )
    if of is not None:
        found = look(gan, of.stage, mix=of.means)
        effect = groups.score(Samples(gan, of.stage, segmenter, key, request.images), of)
        groups.write(folder / f"{of.stage}-groups.csv", found, of, effect)
        book.extra("groups", f"Groups of {of.stage}", groups.section(found, of, effect))
    for layer in layers:
        found = look(gan, layer, known=known)
        found = dataclasses.replace(found, facts={**found.facts, "segmenter": request.segmenter or gan.spec.data})
        samples = Samples(gan, layer, segmenter, key, request.images, known=known)
        for action, label in request.actions.items():
            if request.by == "ace":
                found = with_ace(samples, found, label, request.seed)
            units = found.rank(label, request.by)[: request.units]
            act = actions.removed if action == "ablate" else functools.partial(actions.drawn, mask=mask)
            book.action(f"{layer}-{action}-{label.replace(' ', '_')}", act(samples, found, label, units, say))
        if critic is not None:
            done = actions.repaired(samples, found, critic, request.units, jax.random.fold_in(key, 2), say)
            book.action(f"{layer}-repair", done)
        found.save(folder)
        _tables(found, folder)
        shown = [int(u) for u in found.report_order()[:_GALLERY]]
        book.layer(found, figures.gallery(found, samples, shown))
        say(f"{layer}: {int(found.interpretable().sum())} of {found.units} units match a concept")
    say(f"open {book.close()}")
    return folder


def _layers(gan: Gan, request: Request) -> tuple[str, ...]:
    """The stages to look at; what is asked of them is checked before anything runs."""
    stage = middle(gan)
    layers = request.layers or ((stage,) if stage else ())
    if not layers:
        raise GanxError("this GAN has no feature maps to dissect")
    most = min(check_stage(gan, layer)[2] for layer in layers)
    if (request.actions or request.repair) and not 1 <= request.units <= most:
        raise GanxError(f"--units {request.units}: {', '.join(layers)} can spare 1 to {most}")
    if request.mask and "insert" not in request.actions:
        raise GanxError("--at says where --insert draws a class; say which class, with --insert CLASS")
    return layers


def _groups(path: str, name: str, gan: Gan) -> groups.Groups | None:
    """Those of a path, which must have some, or the GAN's own, if it has any."""
    found = groups.read_groups(path or str(find(name)), gan)
    if path and found is None:
        raise GanxError(f"{path} has no groups of units (yet); give a run of ganx train --config configs/igan/…")
    return found


def choose_segmenter(gan: Gan, name: str) -> Segmenter:
    """By name, or the colours of the world that the GAN was trained on."""
    if not name and not gan.spec.data.startswith("world:"):
        raise GanxError("no masks are known of this GAN's data; give --segmenter, such as colours or upernet:FOLDER")
    return open_segmenter(name or gan.spec.data)


def read_mask(path: str) -> np.ndarray:
    """A picture as a mask float32 `[H, W]`: white is 1."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"), np.float32) / 255
    except (OSError, UnidentifiedImageError) as error:
        raise GanxError(f"cannot read the mask {path}: {error}; give a grey picture, white where to insert") from None


def with_ace(samples: Samples, found: Dissection, label: str, seed: int) -> Dissection:
    """With the ranking of causal units: pairs are a tenth of the pools, as in the paper."""
    key = jax.random.key(seed)
    pool = functools.partial(Samples, samples.gan, samples.stage, samples.segmenter, n=samples.n)
    present, candidate = (pool(key=jax.random.fold_in(key, i)) for i in (10, 11))
    number = index_of(samples.segmenter, label)
    pairs = max(20, samples.n // 10)
    ace = optimize_ace(present, candidate, label, found.iou[number], key=jax.random.fold_in(key, 12), pairs=pairs)
    return found.with_ranking(f"{label}-ace", ace.alpha)


def _tables(found: Dissection, folder: Path) -> None:
    with (folder / f"{found.stage}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(figures.table(found).columns)
        writer.writerows(figures.table_rows(found))
    chart = figures.bars(found)
    with (folder / f"{found.stage}-concepts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("concept", "units"))
        if chart:
            writer.writerows(zip(chart.labels, chart.series["units"].astype(int).tolist(), strict=True))
