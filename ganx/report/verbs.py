"""The verb that looks inside."""

from __future__ import annotations

import argparse
from pathlib import Path

from ganx.command import Formatter, Verbs

ORDER = 20


def add(verbs: Verbs) -> None:
    """Adds them to the command line."""
    _add_explain(verbs)


def _add_explain(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "explain",
        help="look inside a GAN: one report page with every lens that applies",
        description="Writes OUT/index.html (one self-contained page), and the numbers as report.json and arrays.npz.",
        formatter_class=Formatter,
    )
    parser.add_argument("gan", help="a training run, a saved or imported GAN, or a bundled name")
    parser.add_argument("--out", default="report", help="folder for the report")
    parser.add_argument("--seed", type=int, default=0, help="seed of the latents shown")
    parser.add_argument("--source", default="", help="real pictures to compare with (by default those of its training)")
    parser.add_argument("--only", help="comma-separated lenses to apply (all that fit by default)")
    parser.set_defaults(run=_explain)


def _explain(args: argparse.Namespace) -> None:
    from ganx.report import explain
    from ganx.store import load
    from ganx.training.logs import say

    gan = load(args.gan)
    only = args.only.split(",") if args.only else None
    title = Path(args.gan).name
    page = explain(
        gan, args.out, seed=args.seed, only=only, title=title, path=args.gan, source=args.source, progress=say
    )
    print(page)
