"""What interpretability training did: groups of filters before it and after it, measured on the same kinds of pairs.

    python scripts/igan_tables.py runs/wide runs/concepts-0 runs/concepts-1 runs/concepts-2 --control runs/on

BEFORE is the GAN that the runs started from, CONTROL the same GAN trained on for as long without the interpretability
term: their filters are grouped by the mixture as they are, at random, and as the control's run had them. Several runs
(of other seeds) are shown each, then as mean and standard deviation. Tables 4, 2 and 3 of the paper without people
(`ganx.igan.evaluate`), what it cost as the Fréchet distance of `ganx.metrics`, and last the runs' mean as a share of
each control's.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import jax
import numpy as np

import ganx
from ganx.data import open_source
from ganx.igan.evaluate import Scores, evaluate, evaluate_collage
from ganx.igan.files import Concepts, open_concepts
from ganx.igan.identity import FaceSwap, face_collage, face_swap
from ganx.igan.matched import CARRIED, concepts_of
from ganx.igan.trial import Trial, on_trial, trials
from ganx.igan.truth import FaceParts, parts_of
from ganx.metrics.evaluate import evaluate as compare
from ganx.readers import attribute_reader
from ganx.segment import Segmenter

Rows = dict[str, list[float]]
MEAN, SPREAD = "mean of the runs", "± standard deviation"
COLLAGE = "collaging with true masks"
OUT = slice(8, None, 3)  # where a row has Out/In, part by part


@dataclasses.dataclass(frozen=True)
class Subject:
    """A GAN, what names the parts of its images, and groupings of its filters.

    `control` says that nothing was done to make groups part.
    """

    name: str
    gan: ganx.Gan
    parts: Segmenter
    found: Mapping[str, Concepts]
    control: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", help="the GAN that the runs started from")
    parser.add_argument("runs", nargs="+", help="interpretability runs")
    parser.add_argument("--control", default="", help="a run of as many steps with --config.igan.guidance.lambda2=0.0")
    parser.add_argument("--parts", nargs="+", default=["mouth", "eyes", "hair"])
    parser.add_argument("--pairs", type=int, default=128, help="for matching, and as many for measuring")
    parser.add_argument("--count", type=int, default=2000, help="images for the distance")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one table for each draw of pairs")
    parser.add_argument(
        "--carried", type=float, nargs="+", default=[CARRIED], help="one table for each; of a donor's part, at least"
    )
    parser.add_argument(
        "--segmenter", default="", help="names the parts; by default the world that the GAN learned from"
    )
    args = parser.parse_args()
    runs = [trained(path, args.segmenter) for path in args.runs]
    like = runs[0].found[""]
    controls = [control("before", args.before, like, args.segmenter)]
    controls += [control("trained on", args.control, like, args.segmenter)] if args.control else []
    subjects = [*controls, *runs]
    prices = {subject.name: distance(subject.gan, args.count) for subject in subjects}
    shares = []
    for seed in args.seeds:
        tried = [try_out(subject, jax.random.key(seed), args.pairs) for subject in subjects]
        for carried in args.carried:
            rows: Rows = {}
            for subject, each in zip(subjects, tried, strict=True):
                rows |= score(subject, each, prices[subject.name], args.parts, carried)
            rows = with_mean(rows, [run.name for run in runs])
            print(f"\n{carried:.2f} carried, pairs of seed {seed}\n\n{table(rows, args.parts)}", flush=True)
            shares += compared(rows, f"{carried:.2f} | {seed}")
    print("\nOut/In and FD of the runs' mean as a share of each control's\n")
    print("\n".join([*head(["to carry", "pairs", "against", *args.parts, "FD"]), *shares]))


def trained(path: str, segmenter: str) -> Subject:
    """A run with its own groups."""
    gan, concepts = open_concepts(path)
    if concepts is None:
        raise SystemExit(f"{path} has no groups of its own; give runs of configs/igan")
    return Subject(path, gan, known(path, gan, segmenter), {"": concepts}, control=False)


def control(name: str, path: str, like: Concepts, segmenter: str) -> Subject:
    """A GAN grouped by the mixture where the runs are cut, and as its run had it if it comes from one."""
    gan, own = open_concepts(path)
    groups = {"mixture": concepts_of(gan, None, like.cut, like.groups, jax.random.key(1))}
    return Subject(name, gan, known(path, gan, segmenter), groups | ({"groups of that run": own} if own else {}), True)


def try_out(subject: Subject, key: jax.Array, pairs: int) -> dict[str, Trial]:
    """Every grouping of a GAN on trial; controls with random groups."""
    if subject.control:
        return trials(subject.gan, subject.found, subject.parts, key, pairs)
    return {name: on_trial(subject.gan, each, subject.parts, key, pairs) for name, each in subject.found.items()}


def score(subject: Subject, tried: Mapping[str, Trial], price: float, parts: Sequence[str], carried: float) -> Rows:
    """One row a grouping, and one for collaging where nothing was trained."""
    rows = {}
    for name, trial in tried.items():
        scores = evaluate(trial, parts, carried)
        full = f"{subject.name}, {name}" if name else subject.name
        chosen = ", ".join(f"{part} {each.groups}" for part, each in scores.parts.items())
        print(f"{full}: {chosen}", flush=True)
        rows[full] = numbers(scores, price, faces(subject, trial, face_swap), parts)
    if subject.control:
        trial = next(iter(tried.values()))
        whole = faces(subject, trial, face_collage)
        rows[f"{subject.name}, {COLLAGE}"] = numbers(evaluate_collage(trial, parts), price, whole, parts)
    return rows


def numbers(scores: Scores, price: float, faces: list[float], parts: Sequence[str]) -> list[float]:
    """A row of the table."""
    whole = [price, scores.exclusivity, scores.within, scores.between, scores.effect_share, float(scores.dead), *faces]
    by_part = [scores.parts[part] for part in parts]
    return whole + [value for each in by_part for value in (each.ratio, each.transfer, each.choice)]


def faces(subject: Subject, trial: Trial, edit: Callable[..., FaceSwap]) -> list[float]:
    """Whole-face swaps, judged by a recogniser (table 3); NaN where there is no recogniser for them."""
    if not isinstance(subject.parts, FaceParts):
        return [np.nan] * 2
    found = edit(trial, jax.jit(attribute_reader("faces", subject.gan.spec.resolution).identity))
    return [found.accepted, found.nearer]


def known(name: str, gan: ganx.Gan, segmenter: str) -> Segmenter:
    """What names the parts on every image."""
    parts = parts_of(gan, segmenter=segmenter)
    if parts is None:
        raise SystemExit(f"{name} did not learn from a world, which knows its parts; name them with --segmenter")
    return parts


def distance(gan: ganx.Gan, count: int) -> float:
    """The Fréchet distance to what the GAN learned from."""
    found = compare(open_source(gan.spec.data), gan, ("fid",), net="faces", count=count, real_count=count, keep=False)
    return found.scores[0].value


def with_mean(rows: Rows, runs: Sequence[str]) -> Rows:
    """Several runs as mean and standard deviation too."""
    if len(runs) == 1:
        return rows
    values = np.array([rows[name] for name in runs])
    return {**rows, MEAN: list(values.mean(0)), SPREAD: list(values.std(0, ddof=1))}


def compared(rows: Rows, where: str) -> list[str]:
    """What the runs' mean is of each control's, Out/In part by part and the distance."""

    def judged(values: Sequence[float]) -> np.ndarray:
        return np.array([*values[OUT], values[0]])

    runs, lines = judged(rows.get(MEAN) or list(rows.values())[-1]), []
    for name, values in rows.items():
        # collaging knows the masks, which is no fair thing to be compared with
        if name.startswith(("before, ", "trained on, ")) and not name.endswith(COLLAGE):
            lines.append(f"| {where} | {name} | " + " | ".join(f"{x:.2f}" for x in runs / judged(values)) + " |")
    return lines


def head(columns: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]


def table(rows: Rows, parts: Iterable[str]) -> str:
    """A Markdown table."""
    whole = ["groups", "FD", "exclusivity", "within", "between", "effect share", "dead", "whole face: accepted, nearer"]
    lines = head([*whole, *(f"{part}: Out/In, transfer, choice" for part in parts)])
    for name, values in rows.items():
        price, *alike, dead, accepted, nearer = values[: OUT.start]
        cells = [f"{price:.2f}", *(f"{v:.2f}" for v in alike), f"{dead:.0f}", f"{accepted:.2f}, {nearer:.2f}"]
        by_part = np.reshape(values[OUT.start :], (-1, 3))
        cells += [f"{out:.3f}, {carried:.2f}, {right:.2f}" for out, carried, right in by_part]
        lines.append(f"| {name} | " + " | ".join(cell.replace("nan", "") for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
