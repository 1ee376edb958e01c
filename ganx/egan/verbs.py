"""The verb that looks at how a population was bred."""

from __future__ import annotations

import argparse

from ganx.command import Formatter, Verbs

ORDER = 60


def add(verbs: Verbs) -> None:
    """Adds it to the command line."""
    parser = verbs.add_parser(
        "egan",
        help="report on a run of E-GAN: fitness, mutations, lineage, coverage; or take out a member",
        description="Writes OUT/index.html about a run that was trained with config.method=egan, and report.json.",
        epilog="""examples:
  ganx train --config configs/egan/gaussians8.py --workdir runs/egan
  ganx egan runs/egan --against runs/minimax runs/heuristic --out report
  ganx egan runs/egan --member 1 --save gans/second""",
        formatter_class=Formatter,
    )
    parser.add_argument("folder", metavar="run", help="the --workdir of the training")
    parser.add_argument("--out", default="report", help="folder for the report")
    parser.add_argument("--against", nargs="+", default=[], metavar="RUN", help="runs of any method to compare with")
    parser.add_argument("--member", type=int, default=0, help="which member to look at or save; 0 is the fittest")
    parser.add_argument("--save", metavar="DIR", help="write that member as a GAN of its own instead of a report")
    parser.set_defaults(run=_egan)


def _egan(args: argparse.Namespace) -> None:
    from ganx.egan.history import history, member, warning
    from ganx.egan.lens import looking_at
    from ganx.report import explain
    from ganx.store import save
    from ganx.training.logs import say

    gan = member(args.folder, args.member)
    if args.save:
        print(save(gan, args.save))
        return
    beware = warning(history(args.folder))
    if beware:
        say(f"warning: {beware}")
    with looking_at(args.folder, args.against):
        print(explain(gan, args.out, only=["egan"], title=f"{args.folder}, member {args.member}"))
