"""What interpretability training did: groups of filters before it and after it, measured on the same kinds of pairs.

    python scripts/igan_tables.py runs/wide runs/concepts-0 runs/concepts-1 runs/concepts-2

BEFORE is the GAN that the runs started from: its filters are grouped by the mixture as they are, and at random. Several
runs (of other seeds) are shown each, then as mean and standard deviation. Tables 4, 2 and 3 of the paper without people
(`ganx.igan.evaluate`), and what it cost as the Fréchet distance of `ganx.metrics`.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

import ganx
from ganx.data import open_source
from ganx.igan.controls import random_labels
from ganx.igan.evaluate import Scores, evaluate, score_all
from ganx.igan.files import Concepts, open_concepts
from ganx.igan.identity import face_collage, face_swap
from ganx.igan.matched import CARRIED, concepts_of
from ganx.igan.truth import FaceParts, parts_of
from ganx.metrics.evaluate import evaluate as compare
from ganx.readers import attribute_reader
from ganx.segment import Segmenter

Row = tuple[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", help="the GAN that the runs started from")
    parser.add_argument("runs", nargs="+", help="interpretability runs")
    parser.add_argument("--parts", nargs="+", default=["mouth", "eyes", "hair"])
    parser.add_argument("--pairs", type=int, default=128, help="for matching, and as many for measuring")
    parser.add_argument("--count", type=int, default=2000, help="images for the distance")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs, by which groups are matched and measured")
    parser.add_argument(
        "--carried", type=float, default=CARRIED, help="of a donor's part, at least, on the pairs for matching"
    )
    parser.add_argument(
        "--segmenter", default="", help="names the parts; by default the world that the GAN learned from"
    )
    args = parser.parse_args()
    measure = Measure(args.parts, args.pairs, args.count, args.seed, args.carried, args.segmenter)
    after = [measure.row(path, *open_concepts(path)) for path in args.runs]
    rows = [*measure.controls(args.before, open_concepts(args.runs[0])[1]), *after]
    if len(after) > 1:
        values = np.array([row[1] for row in after])
        rows += [("mean of the runs", list(values.mean(0))), ("± standard deviation", list(values.std(0, ddof=1)))]
    print(table(rows, args.parts))


class Measure:
    """What every grouping is put through."""

    def __init__(self, parts: Sequence[str], pairs: int, count: int, seed: int, carried: float, segmenter: str) -> None:
        self.parts, self.pairs, self.count, self.key = tuple(parts), pairs, count, jax.random.key(seed)
        self.carried, self.segmenter = carried, segmenter

    def row(self, name: str, gan: ganx.Gan, concepts: Concepts | None) -> Row:
        """A GAN with its own groups."""
        if concepts is None:
            raise SystemExit(f"{name} has no groups of its own; give runs of configs/igan")
        known, labels = self._known(name, gan), jnp.asarray(concepts.labels)
        scores = evaluate(
            gan, concepts.cut, labels, concepts.groups, known, self.key, self.pairs, self.parts, self.carried
        )
        print(f"{name}: " + ", ".join(f"{part} {score.groups}" for part, score in scores.parts.items()), flush=True)
        return name, self._numbers(scores, self._distance(gan), self._faces(gan, concepts, known))

    def controls(self, path: str, concepts: Concepts | None) -> Iterable[Row]:
        """The GAN as it was: groups by the mixture, random ones of the same sizes, and collaging with true masks."""
        assert concepts is not None
        gan = ganx.load(path)
        found = concepts_of(gan, None, concepts.cut, concepts.groups, jax.random.key(1))
        known, distance = self._known(path, gan), self._distance(gan)
        scores = score_all(gan, {"mixture": found}, known, self.key, self.pairs, self.parts, self.carried)
        shuffled = random_labels(jax.random.fold_in(self.key, 1), jnp.asarray(found.labels))
        whole = {
            "mixture": self._faces(gan, found, known),
            "random groups": self._faces(gan, dataclasses.replace(found, labels=np.asarray(shuffled)), known),
            "collaging": self._faces(gan, found, known, collage=True),
        }
        for name, each in scores.items():
            yield f"before, {name}", self._numbers(each, distance, whole[name])

    def _faces(self, gan: ganx.Gan, concepts: Concepts, known: Segmenter, collage: bool = False) -> list[float]:
        """Whole-face swaps, judged by a recogniser (table 3); NaN where there is no recogniser for them."""
        if not isinstance(known, FaceParts):
            return [np.nan] * 2
        embed = jax.jit(attribute_reader("faces", gan.spec.resolution).identity)
        labels, cut = jnp.asarray(concepts.labels), concepts.cut
        if collage:
            found = face_collage(gan, cut, known, self.key, embed, self.pairs)
        else:
            found = face_swap(gan, cut, labels, concepts.groups, known, self.key, embed, self.pairs)
        return [found.accepted, found.nearer]

    def _numbers(self, scores: Scores, distance: float, faces: list[float]) -> list[float]:
        whole = [
            distance,
            scores.exclusivity,
            scores.within,
            scores.between,
            scores.effect_share,
            float(scores.dead),
            *faces,
        ]
        parts = [scores.parts[part] for part in self.parts]
        return whole + [value for each in parts for value in (each.ratio, each.transfer, each.choice)]

    def _known(self, name: str, gan: ganx.Gan) -> Segmenter:
        """What names the parts on every image."""
        parts = parts_of(gan, segmenter=self.segmenter)
        if parts is None:
            raise SystemExit(f"{name} did not learn from a world, which knows its parts; name them with --segmenter")
        return parts

    def _distance(self, gan: ganx.Gan) -> float:
        real = open_source(gan.spec.data)
        found = compare(real, gan, ("fid",), net="faces", count=self.count, real_count=self.count, keep=False)
        return found.scores[0].value


def table(rows: Iterable[Row], parts: Sequence[str]) -> str:
    """A Markdown table."""
    header = [
        "groups",
        "FD",
        "exclusivity",
        "within",
        "between",
        "effect share",
        "dead",
        "whole face: accepted, nearer",
    ]
    header += [f"{part}: Out/In, transfer, choice" for part in parts]
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    for name, values in rows:
        whole, by_part = values[:8], np.reshape(values[8:], (-1, 3))
        cells = [
            f"{whole[0]:.2f}",
            *(f"{v:.2f}" for v in whole[1:5]),
            f"{whole[5]:.0f}",
            f"{whole[6]:.2f}, {whole[7]:.2f}",
        ]
        cells += [f"{out:.3f}, {carried:.2f}, {right:.2f}" for out, carried, right in by_part]
        lines.append(f"| {name} | " + " | ".join(cell.replace("nan", "") for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
