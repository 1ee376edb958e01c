"""The verbs about groups of filters: which there are, and what swapping them does."""

from __future__ import annotations

import argparse

from ganx.command import Formatter, Verbs

ORDER = 40

_SEGMENTER = "names the parts: upernet:FOLDER, boxes:NAME=TOP,LEFT,BOTTOM,RIGHT&…; by default the GAN's world"


def add(verbs: Verbs) -> None:
    """Adds them to the command line."""
    _add_groups(verbs)
    _add_swap(verbs)


def _add_groups(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "groups",
        help="group the filters of a layer, and show where each group looks",
        description="""Groups filters by where they are active (IGAN's mixture), for several numbers of groups.
A GAN that was trained for it (ganx train --config configs/igan/…) is shown with its own groups first.
Writes OUT/layout.png, OUT/fields-*.png and OUT/groups.json.""",
        formatter_class=Formatter,
    )
    parser.add_argument("gan", help="a training run, a saved or imported GAN, or a bundled name")
    parser.add_argument("--out", default="groups", help="folder for the pictures")
    parser.add_argument("--count", type=int, nargs="+", default=[8, 16, 24], help="numbers of groups")
    parser.add_argument("--stage", default="", help="where to cut the GAN (by default as the paper does)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the images and of the fits")
    parser.add_argument(
        "--score", action="store_true", help="measure swaps of parts that are known (--segmenter), with controls"
    )
    parser.add_argument("--segmenter", default="", help=_SEGMENTER)
    parser.set_defaults(run=_groups)


def _add_swap(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "swap",
        help="swap, move or erase a part of images by its groups of filters",
        description="""Writes one row a pair: A, B, A with B's part, B with A's part, and what changed in A.""",
        epilog="""examples:
  ganx swap runs/igan --part mouth
  ganx swap runs/igan --groups 3,5 --pairs 8 --langevin 10
  ganx swap runs/igan --part eyes --move 0,2
  ganx swap runs/portraits --part mouth --segmenter boxes:mouth=0.62,0.30,0.82,0.70""",
        formatter_class=Formatter,
    )
    parser.add_argument("gan", help="a training run, a saved or imported GAN, or a bundled name")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--groups", help="numbers of groups, such as 3,5")
    which.add_argument("--part", help="name of a part (--segmenter), or face")
    parser.add_argument("--segmenter", default="", help=_SEGMENTER)
    parser.add_argument("--pairs", type=int, default=6, help="how many")
    parser.add_argument("--out", default="swap.png", help="the PNG to write")
    parser.add_argument("--count", type=int, default=16, help="number of groups, for a GAN that has none yet")
    parser.add_argument("--stage", default="", help="where to cut a GAN that has no groups yet")
    parser.add_argument("--seed", type=int, default=0, help="seed of the images")
    parser.add_argument("--langevin", type=int, default=0, help="steps that make the swapped images likelier")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--move", help="instead of swapping, move the part DOWN,RIGHT by positions of the layer")
    how.add_argument("--erase", action="store_true", help="instead of swapping, set the part's filters to zero")
    parser.set_defaults(run=_swap)


def _groups(args: argparse.Namespace) -> None:
    from ganx.igan.show import show_groups

    for line in show_groups(args.gan, args.out, args.count, args.stage, args.seed, args.score, args.segmenter):
        print(line)


def _swap(args: argparse.Namespace) -> None:
    from ganx.igan.show import Wish, show_swap

    fields = ("groups", "part", "pairs", "count", "stage", "seed", "langevin", "move", "erase", "segmenter")
    print(show_swap(args.gan, args.out, Wish(**{name: getattr(args, name) for name in fields})))
