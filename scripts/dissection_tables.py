"""Whether units cause what they are named after, measured where the truth is known.

    python scripts/dissection_tables.py faces32                        # bundled
    python scripts/dissection_tables.py runs/scenes --classes sky,ground,road,mountain

For every stage with maps two tables. The first says for how many units the label by IoU is the class that the unit's
removal takes away; a class's loss is divided by the loss that an average unit causes (as eq. 4 divides by how common a
class is), or else the smallest classes, of a few pixels each, win everywhere. The second removes whole sets: the best
units by IoU, by ACE as published and by ACE that ablates everywhere, as many of each. Sets are found on some latents
and judged on others.
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
import numpy as np

import ganx
from ganx.dissection import Dissection, Samples, ablation_curve, dissect, find_pairs, optimize_ace, single_units
from ganx.dissection.effects import Effect
from ganx.errors import GanxError
from ganx.segmenters import open_segmenter

COMMON = 0.002  # share of the pixels below which a class is left out
MOST = 16  # units of a set, at most
REMOVED, DAMAGE = 0.8, 0.2


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("gan", help="a GAN trained on a picture world")
    parser.add_argument("--stages", default="", help="comma-separated; all with maps but the first by default")
    parser.add_argument("--classes", default="", help="comma-separated; those of the first table by default")
    parser.add_argument("--images", type=int, default=200, help="images to count over")
    parser.add_argument("--pool", type=int, default=400, help="images that the search takes its pairs from")
    parser.add_argument("--pairs", type=int, default=60, help="pairs of the search")
    parser.add_argument("--steps", type=int, default=150, help="steps of the search")
    parser.add_argument("--seed", type=int, default=0, help="of the latents")
    return parser.parse_args()


def agreement(found: Dissection, effect: Effect) -> list[tuple[str, str, str]]:
    """How many units take away most of their own class, by how strictly units are chosen."""
    common = effect.before > COMMON * effect.before.sum()
    common[0] = False
    lost = 1 - effect.after / np.maximum(effect.before, 1)
    beyond = lost / np.maximum(np.abs(lost).mean(0), 1e-9)
    by_share, by_excess = (np.where(common, score, -np.inf).argmax(1) for score in (lost, beyond))
    iou, chosen = found.best(found.iou), found.interpretable()
    rows = []
    for name, units in (("all", chosen | True), ("by the cut-off", chosen), ("IoU over 0.2", chosen & (iou > 0.2))):
        agree = [f"{(top == found.labels)[units].mean():.0%}" if units.any() else "" for top in (by_excess, by_share)]
        rows.append((f"{name} ({units.sum()})", *agree))
    return rows


def specificity(found: Dissection, effect: Effect) -> list[tuple[str, ...]]:
    """What the units of a label take away of it, and what all other units do."""
    lost, chosen = 1 - effect.after / np.maximum(effect.before, 1), found.interpretable()
    rows = []
    for label in np.unique(found.labels[chosen]):
        own = chosen & (found.labels == label)
        rows.append(
            (found.names[label], str(own.sum()), f"{lost[own, label].mean():.1%}", f"{lost[~own, label].mean():.1%}")
        )
    return rows


def sets(gan: ganx.Gan, found: Dissection, label: str, args: argparse.Namespace) -> tuple[str, ...]:
    """Removal and damage of equally many units by each ranking."""
    segmenter, stage, number = open_segmenter(world(gan)), found.stage, found.label(label)
    key = jax.random.key(args.seed + 1)
    pools = [Samples(gan, stage, segmenter, jax.random.fold_in(key, i), args.pool) for i in (10, 11)]
    judge = Samples(gan, stage, segmenter, jax.random.fold_in(key, 12), args.images)
    start, ties = found.iou[number], found.iou[number]
    common: dict[str, Any] = {"steps": args.steps, "rate": 0.03}
    orders: dict[str, np.ndarray | None] = {"IoU": found.rank(label)}
    try:
        pairs = find_pairs(*pools, label, args.pairs, jax.random.fold_in(key, 13))
        ace = optimize_ace(*pools, label, start, key=jax.random.fold_in(key, 14), found=pairs, **common)
        orders["ACE"] = ace.top(MOST, ties)
    except GanxError:
        orders["ACE"] = None  # too few places accept this class
    ace = optimize_ace(
        *pools,
        label,
        start,
        key=jax.random.fold_in(key, 15),
        pairs=args.pairs,
        readout="everywhere",
        spare=3.0,
        **common,
    )
    orders["ACE everywhere"] = ace.top(MOST, ties)
    counts = range(MOST + 1)
    curves = {name: None if o is None else ablation_curve(judge, o, counts) for name, o in orders.items()}
    told = {n: (e.removed(number), e.damage(number)) for n, e in curves.items() if e is not None}
    good = [n for n in counts if any(r[n] >= REMOVED and d[n] <= DAMAGE for r, d in told.values())]
    n = good[0] if good else 8
    cells = [f"{told[name][0][n]:.2f} / {told[name][1][n]:.2f}" if name in told else "" for name in orders]
    return (stage, label, str(n) if good else f"{n} (none reaches it)", *cells)


def world(gan: ganx.Gan) -> str:
    """The segmenter of the GAN's data, at its size."""
    return f"{gan.spec.data.partition('?')[0]}?size={gan.spec.resolution}"


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """As Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, ("---",) * len(header), *rows))


def main() -> None:
    args = options()
    gan = ganx.load(args.gan)
    segmenter = open_segmenter(world(gan))
    maps = [name for name, shape in gan.shapes.items() if len(shape) == 3 and name != gan.stages[-1]]
    rows = []
    for stage in args.stages.split(",") if args.stages else maps[1:]:
        key = jax.random.key(args.seed)
        found = dissect(gan, stage, segmenter, args.images, "iqr", key=key)
        effect = single_units(Samples(gan, stage, segmenter, key, args.images))
        print(f"\n{stage}: {found.units} units, {found.interpretable().sum()} by the cut-off\n")
        header = ("units", "label is the class whose loss stands out most", "… whose loss is the largest share")
        print(table(header, agreement(found, effect)) + "\n")
        header = ("label", "units", "of it lost without one of them", "without any other unit")
        print(table(header, specificity(found, effect)), flush=True)
        labels = np.unique(found.labels[found.interpretable()])
        classes = args.classes.split(",") if args.classes else [found.names[i] for i in labels]
        fixed = dissect(gan, stage, segmenter, args.images, 0.05, key=jax.random.key(args.seed))
        for label in classes:
            try:
                rows.append(sets(gan, fixed, label, args))
            except GanxError as error:
                rows.append((stage, label, f"not searched: {error}", "", "", ""))
    header = ("stage", "class", "units", "IoU: removed / damage", "ACE", "ACE everywhere")
    print("\n" + table(header, rows))


if __name__ == "__main__":
    main()
