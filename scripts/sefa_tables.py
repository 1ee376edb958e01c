"""SeFa, InterFaceGAN, GANSpace and random directions on a GAN that was trained on a world, for each group of layers.

    python scripts/sefa_tables.py runs/sg2                       # reads pictures by learned:WORLD
    python scripts/sefa_tables.py runs/digits --predictor world:digits --count 500

Every direction of every method moves the same samples by the same step, `--step` deviations of a code along a random
direction. An attribute is found if some direction changes it more than any other attribute, by 0.1 and three standard
errors at least. Purity is the attribute's share in all that the direction which moves it most changes: averaged over
all attributes (the diagonal share), and over those found. InterFaceGAN's and GANSpace's directions are the same for all
groups, which differ in the layers that move; their cost is that of finding them once, compilation included.
"""

from __future__ import annotations

import argparse
import dataclasses
import time

import jax
import numpy as np

import ganx
from ganx.sefa import Directions, groups
from ganx.sefa.batches import Samples, draw_samples, one_code
from ganx.sefa.compare import METHODS, Budget, Finding, find_directions
from ganx.sefa.directions import moved_layers
from ganx.sefa.predictors import Predictor, find_predictor
from ganx.sefa.rescore import rescore

HEADER = ("layers", "method", "directions", "attributes found", "purity, all", "purity, found", "seconds", "samples")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("gan", help="a GAN trained on a picture world")
    parser.add_argument("--predictor", default="", help="reader of the pictures; learned:WORLD if unset")
    parser.add_argument("--count", type=int, default=2000, help="pictures scored before and after each edit")
    parser.add_argument("--scored", type=int, default=10_000, help="pictures that InterFaceGAN learns from")
    parser.add_argument("--layers", default="all,bottom,middle,top", help="groups to measure, comma-separated")
    parser.add_argument("--top", type=int, default=10, help="directions of each method")
    parser.add_argument("--step", type=float, default=3.0, help="in deviations of a code along a random direction")
    parser.add_argument("--seed", type=int, default=0, help="of all samples")
    return parser.parse_args()


class Bench:
    """The samples and the step that all methods share."""

    def __init__(self, gan: ganx.Gan, reader: Predictor, args: argparse.Namespace) -> None:
        self.gan, self.reader, self.args = gan, reader, args
        find, score, spread = jax.random.split(jax.random.key(args.seed), 3)
        self.keys = dict(zip(METHODS, jax.random.split(find, len(METHODS)), strict=True))
        self.samples: Samples = draw_samples(gan, score, args.count)
        cloud = one_code(gan, draw_samples(gan, spread, 5000).codes)
        self.step = args.step * float(np.sqrt(cloud.var(0).mean()))
        self._everywhere: dict[str, tuple[Directions, float, int]] = {}

    def row(self, method: str, layers: str) -> Finding:
        """What a method finds for some layers."""
        directions, seconds, samples = self._found(method, layers)
        effects = rescore(self.gan, self.reader, directions, jax.random.key(0), alpha=self.step, samples=self.samples)
        return Finding(method, directions, seconds, samples, effects)

    def _found(self, method: str, layers: str) -> tuple[Directions, float, int]:
        """A group's own directions by SeFa; those of the others are found once and move another group."""
        if method == "sefa":
            return self._find(method, layers)
        if method not in self._everywhere:
            self._everywhere[method] = self._find(method, "all")
        directions, seconds, samples = self._everywhere[method]
        chosen, stages = moved_layers(self.gan, layers)
        return dataclasses.replace(directions, layers=chosen, stages=stages), seconds, samples

    def _find(self, method: str, layers: str) -> tuple[Directions, float, int]:
        budget = Budget(scored=self.args.scored)
        began = time.perf_counter()
        key = self.keys[method]
        directions, samples = find_directions(self.gan, method, key, layers, self.args.top, self.reader, budget)
        return directions, time.perf_counter() - began, samples


def cells(group: str, finding: Finding) -> tuple[str, ...]:
    """One row as text."""
    effects = finding.effects
    assert effects is not None
    found = finding.attributes_found()
    shares = [match.share for match in effects.best() if match.attribute in found]
    names = f"{len(found)} of {len(effects.attributes)}" + (f": {', '.join(found)}" if found else "")
    pure = f"{np.mean(shares):.2f}" if shares else "–"
    cost = (f"{finding.seconds:.1f}", f"{finding.samples:,}")
    return (group, finding.method, str(len(finding.directions)), names, f"{effects.diagonal():.2f}", pure, *cost)


def line(row: tuple[str, ...]) -> str:
    """As Markdown."""
    return "| " + " | ".join(row) + " |"


def main() -> None:
    args = options()
    gan = ganx.load(args.gan)
    world = gan.spec.data.removeprefix("world:").partition("?")[0]
    reader = find_predictor(gan, args.predictor or f"learned:{world}")
    bench = Bench(gan, reader, args)
    print(f"{gan.spec.family}, {gan.spec.resolution} pixels; {args.count} samples, a step of {bench.step:.2f}")
    print(reader.note or args.predictor, flush=True)
    print("\n" + line(HEADER) + "\n" + line(("---",) * len(HEADER)), flush=True)
    ranges = {name: text for name, text in ({"all": "all"} | groups(gan)).items() if name in args.layers.split(",")}
    for name, layers in ranges.items():
        for method in METHODS:
            print(line(cells(name, bench.row(method, layers))), flush=True)


if __name__ == "__main__":
    main()
