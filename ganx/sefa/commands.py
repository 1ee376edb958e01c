"""What the verbs do, from parsed arguments to files."""

from __future__ import annotations

import argparse
import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ganx import codes
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.numbers import to_json
from ganx.sefa import compare, sheets
from ganx.sefa import space as spaces
from ganx.sefa.annotations import annotate, named, save_annotations
from ganx.sefa.batches import Samples, begin
from ganx.sefa.directions import Directions
from ganx.sefa.edit import shifted
from ganx.sefa.features import find_features
from ganx.sefa.layers import parse_numbers
from ganx.sefa.predictors import Predictor, find_predictor
from ganx.sefa.rescore import Rescore, frechet_along, rescore
from ganx.store import load, writable_folder
from ganx.training.logs import say

DEMO_TRUNCATION = {"stylegan": (0.7, 8), "stylegan2": (0.5, None), "stylegan3": (0.5, None)}
"""Truncation psi and number of truncated layers of the published demonstrations, by family."""

ALPHAS = (1.0, 2.0, 3.0)
"""Steps at which the Fréchet distance along an edit is measured."""


def run_sefa(args: argparse.Namespace) -> None:
    """`ganx sefa`."""
    gan = open_pictures(args.gan)
    distances = parse_range(args.range, args.steps)
    names = parse_names(args.name, args.flip)
    samples = seeded(gan, args)
    methods = list(dict.fromkeys(["sefa", *(m.strip() for m in args.compare.split(",") if m.strip())]))
    predictor = _predictor(gan, args.predictor, methods) if args.predictor or len(methods) > 1 else None
    findings = compare.compare(
        gan,
        jax.random.key(0),
        methods,
        args.layers,
        args.top,
        predictor,
        args.samples,
        args.alpha,
        *truncation(gan, args),
        progress=say,
    )
    reach = (float(distances[0]), float(distances[-1]))
    annotations = annotate(findings[0].directions, *names, reach)
    folder = Path(writable_folder(args.out))
    for finding in findings:
        say(f"{finding.method}: drawing")
        _write_strips(folder, gan, samples, _labelled(finding).top(args.top), distances, args.animate)
    if predictor is not None:
        (folder / "compare.json").write_text(to_json([_facts(f) for f in findings]))
        for finding in findings:
            print(_sentence(finding))
    if annotations:
        save_annotations(args.annotations, annotations)
        print(args.annotations)
    print(folder / "sefa.png")


def run_rescore(args: argparse.Namespace) -> None:
    """`ganx rescore`."""
    gan = open_pictures(args.gan)
    predictor = find_predictor(gan, args.predictor)
    if predictor.note:
        say(predictor.note)
    look = find_features(args.features) if args.features else None
    key_find, key_score, key_distance = jax.random.split(jax.random.key(args.seed), 3)
    directions, _ = compare.find_directions(gan, args.method, key_find, args.layers, args.top, predictor)
    cut = truncation(gan, args)
    found = rescore(gan, predictor, directions, key_score, args.samples, args.alpha, *cut, progress=say)
    facts = rescore_facts(found)
    if look is not None:
        say(f"{look.name} along the edits")
        distance = frechet_along(gan, look.apply, directions, key_distance, args.samples, ALPHAS, *cut)
        facts["frechet_distance"] = {"name": look.name, "alphas": list(ALPHAS), "directions": distance.tolist()}
    folder = Path(writable_folder(args.out))
    (folder / "rescore.json").write_text(to_json(facts))
    print(text_table(found))
    if args.save:
        names = {i: name for i, (name, _) in enumerate(found.names()) if name}
        flip = [i for i, (_, sign) in enumerate(found.names()) if sign < 0]
        save_annotations(args.save, annotate(directions, distinct(names), flip))
        print(args.save)
    print(folder / "rescore.json")


def run_edit(args: argparse.Namespace) -> None:
    """`ganx edit`."""
    gan = open_pictures(args.gan)
    amounts, out = parse_range(args.range, args.steps), Path(args.out)
    if out.is_dir():
        raise GanxError(f"{out} is a folder; name the PNG to write, such as {out / 'edit.png'}")
    moves = [named(args.annotations, label).as_directions(gan) for label in args.direction]
    samples = seeded(gan, args)
    code = [np.asarray(shifted(gan, samples.codes, [(move, 0, float(a)) for move in moves])) for a in amounts]
    label = None if samples.label is None else samples.label[:, None]
    pictures = spaces.draw(gan, np.stack(code, 1), sheets.SIDE, label)
    writable_folder(out.parent)
    out.write_bytes(sheets.strip_sheet(pictures[None], [" + ".join(args.direction)], amounts))
    print(out)


def open_pictures(path: str) -> Gan:
    """A GAN that draws pictures from a vector.

    Raises:
      GanxError: there is none, or one of points or of translations.
    """
    gan = load(path)
    if len(gan.spec.latent) != 1 or gan.spec.channels not in (1, 3):
        raise GanxError(f"{path} draws no pictures from a vector, so no strips either; give a GAN that does")
    return gan


def seeded(gan: Gan, args: argparse.Namespace) -> Samples:
    """One sample for each of `--seeds`: the same seed is the same picture whatever stands beside it."""
    seeds = parse_numbers(args.seeds, "seeds")
    if not seeds:
        raise GanxError("--seeds names no sample; give numbers or ranges such as 0-4")
    psi, cutoff = truncation(gan, args)
    keys = [jax.random.split(jax.random.key(seed)) for seed in seeds]
    z = np.concatenate([np.asarray(gan.latents(key[0], 1)) for key in keys])
    labels = [gan.labels(key[1], 1) for key in keys]
    label = np.concatenate([np.asarray(x) for x in labels if x is not None]) if gan.spec.classes else None
    return begin(gan, z, label, psi, cutoff)


def truncation(gan: Gan, args: argparse.Namespace) -> tuple[float, int | None]:
    """`--psi` and `--cutoff`, or what the published demonstrations have."""
    psi, cutoff = DEMO_TRUNCATION.get(gan.spec.family, (1.0, None))
    for name in ("psi", "cutoff"):
        if getattr(args, name) is not None and not codes.style_based(gan):
            raise GanxError(f"{gan.spec.family} has no styles to truncate; leave --{name} out")
    if args.psi is not None:
        psi, cutoff = args.psi, None
    if not math.isfinite(psi):
        raise GanxError(f"styles cannot be truncated by {psi}; give a number such as 0.7")
    if args.cutoff is None:
        return psi, cutoff
    count = codes.code_shape(gan)[0]
    if not 0 <= args.cutoff <= count:
        raise GanxError(f"this generator has {count} layers to truncate, not {args.cutoff}; give 0 to {count}")
    return psi, args.cutoff


def parse_range(text: str, steps: int) -> np.ndarray:
    """Equally spaced distances float32 `[steps]` of "-3..3"."""
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)", text)
    if not found or float(found[1]) >= float(found[2]):
        raise GanxError(f"the range {text!r} cannot be read; write it as -3..3")
    if steps < 2:
        raise GanxError(f"a strip of {steps} steps shows no change; give 2 at least")
    return np.linspace(float(found[1]), float(found[2]), steps, dtype=np.float32)


def distinct(names: dict[int, str]) -> dict[int, str]:
    """The same labels with a number where one comes again."""
    seen: dict[str, int] = {}
    out = {}
    for index, name in names.items():
        seen[name] = seen.get(name, 0) + 1
        out[index] = name if seen[name] == 1 else f"{name} {seen[name]}"
    return out


def rescore_facts(found: Rescore) -> dict[str, Any]:
    """What JSON holds of a re-scoring."""
    return {
        "directions": list(found.labels),
        "names": [name if sign > 0 or not name else f"-{name}" for name, sign in found.names()],
        "columns": list(found.columns),
        "samples": found.n,
        "alpha": found.alpha,
        "before": found.before.tolist(),
        "change": found.change.tolist(),
        "standard_error": found.error.tolist(),
        "sign_consistency": found.consistent.tolist(),
        "diagonal_share": found.diagonal(),
        "best": [vars(match) for match in found.best()],
    }


def text_table(found: Rescore) -> str:
    """For each attribute the direction that moves it most, as aligned text."""
    rows = [("attribute", "direction", "change", "±", "share", "consistent")]
    for m in found.best():
        numbers = (f"{m.change:+.3f}", f"{m.error:.3f}", f"{m.share:.0%}", f"{m.consistent:.0%}")
        rows.append((m.column, found.labels[m.direction], *numbers))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, f"diagonal share {found.diagonal():.0%}, {found.n} samples, step {found.alpha:g}"])


def _predictor(gan: Gan, text: str, methods: list[str]) -> Predictor | None:
    """Something to score with; None where nothing is known and nothing needs it."""
    if not text and not gan.spec.data.startswith("world:") and "interfacegan" not in methods:
        return None
    return find_predictor(gan, text)


def _labelled(finding: compare.Finding) -> Directions:
    """Its directions, called after what they change most where that is known; a minus stands where it falls."""
    found, effects = finding.directions, finding.effects
    if effects is None or found.names:
        return found
    signed = (f"-{name}" if sign < 0 else name for name, sign in effects.names())
    return dataclasses.replace(found, names=tuple(f"{i + 1}: {name}" if name else "" for i, name in enumerate(signed)))


def _write_strips(
    folder: Path, gan: Gan, samples: Samples, directions: Directions, distances: np.ndarray, animate: str
) -> None:
    pictures = sheets.strips(gan, samples, directions, distances)
    labels = [directions.label(i) for i in range(len(directions))]
    name = directions.method
    (folder / f"{name}.png").write_bytes(sheets.strip_sheet(pictures, labels, distances))
    (folder / f"{name}.npz").write_bytes(sheets.arrays_file(directions, samples, distances))
    for i in range(len(directions) if animate != "none" else 0):
        (folder / f"{name}-{i:02}.{animate}").write_bytes(sheets.animated(pictures[i], animate))


def parse_names(texts: Sequence[str], flip: str) -> tuple[dict[int, str], list[int]]:
    """Labels by index of "3=smile", and the indices of "3,5" that are to be turned round."""
    names = {}
    for text in texts:
        index, equals, label = text.partition("=")
        if not (index.isdecimal() and equals and label.strip()):
            raise GanxError(f"--name {text!r} cannot be read; write a number and a label, such as --name 3=smile")
        names[int(index)] = label.strip()
    turned = parse_numbers(flip, "directions to flip")
    for one in turned:
        if one not in names:
            raise GanxError(f"direction {one} is flipped but not named; add --name {one}=LABEL")
    return names, turned


def _facts(finding: compare.Finding) -> dict[str, Any]:
    facts: dict[str, Any] = {"method": finding.method, "seconds": finding.seconds, "samples": finding.samples}
    if finding.effects is not None:
        facts |= {"attributes_found": list(finding.attributes_found()), **rescore_facts(finding.effects)}
    return facts


def _sentence(finding: compare.Finding) -> str:
    assert finding.effects is not None
    names = ", ".join(finding.attributes_found()) or "none"
    return (
        f"{finding.method}: {finding.seconds:.1f} s, {finding.samples} samples, diagonal share "
        f"{finding.effects.diagonal():.0%}; found {names}"
    )
