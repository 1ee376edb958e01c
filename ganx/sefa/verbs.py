"""The verbs that find directions, say what they mean, and edit along them."""

from __future__ import annotations

import argparse
import re

from ganx.command import Formatter, Verbs

ORDER = 30
_METHODS = "sefa, interfacegan, ganspace, random"
_NEGATIVE = re.compile(r"^-\d+(\.\d+)?(\.\.-?\d+(\.\d+)?)?$")


def add(verbs: Verbs) -> None:
    """Adds them to the command line."""
    _add_sefa(verbs)
    _add_rescore(verbs)
    _add_edit(verbs)


def _parser(verbs: Verbs, name: str, help: str, description: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=help, description=description, formatter_class=Formatter)
    parser._negative_number_matcher = _NEGATIVE  # so that `--range -3..3` needs no equals sign
    parser.add_argument("gan", help="a training run, a saved or imported GAN, or a bundled name")
    return parser


def _add_sefa(verbs: Verbs) -> None:
    parser = _parser(
        verbs,
        "sefa",
        "directions hidden in the weights: strips, animations, arrays",
        "Writes OUT/sefa.png (a strip sheet), an animation for each direction and OUT/sefa.npz with layers,\n"
        "boundaries and values; the same for every method in --compare. Where something can read the pictures,\n"
        "--compare and --predictor also write compare.json and call directions after what they change most.",
    )
    _add_directions(parser)
    _add_samples(parser)
    parser.add_argument("--range", default="-3..3", help="how far to go, in steps of length one")
    parser.add_argument("--steps", type=int, default=11, help="pictures in a strip")
    parser.add_argument("--animate", choices=("webp", "gif", "none"), default="webp", help="format of the animations")
    parser.add_argument("--compare", default="", help=f"other methods beside it, comma-separated: {_METHODS}")
    _add_predictor(parser)
    parser.add_argument("--samples", type=int, default=2000, help="pictures that --compare scores")
    parser.add_argument("--name", action="append", default=[], metavar="N=LABEL", help="name direction N (from 0)")
    parser.add_argument("--flip", default="", help="comma-separated directions to turn round as they are named")
    parser.add_argument("--annotations", default="directions.json", help="file that --name writes to")
    parser.add_argument("--out", default="sefa", help="folder to write to")
    parser.set_defaults(run=_sefa)


def _add_rescore(verbs: Verbs) -> None:
    parser = _parser(
        verbs,
        "rescore",
        "edit, score again, and see what each direction changes",
        "Prints what each direction changes, and writes OUT/rescore.json.\n"
        "Directions are named by what they change most.",
    )
    _add_directions(parser)
    parser.add_argument("--method", default="sefa", help=f"one of {_METHODS}")
    _add_predictor(parser)
    parser.add_argument("--samples", type=int, default=2000, help="pictures scored before and after")
    _add_truncation(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the samples")
    parser.add_argument(
        "--features",
        default="",
        help="Fréchet distance along the edit: inception for FID, faces, vgg16, or package.module:function",
    )
    parser.add_argument("--save", default="", metavar="FILE", help="write the names to this annotation file")
    parser.add_argument("--out", default="rescore", help="folder to write to")
    parser.set_defaults(run=_rescore)


def _add_edit(verbs: Verbs) -> None:
    parser = _parser(
        verbs,
        "edit",
        "pictures along named directions",
        "Writes one PNG: a row for each seed, a column for each amount. Several directions add up.",
    )
    parser.add_argument("--direction", action="append", required=True, help="a label, such as smile; may be repeated")
    parser.add_argument("--annotations", default="directions.json", help="file that says what labels mean")
    parser.add_argument("--range", default="-3..3", help="how far to go along the directions, all together")
    parser.add_argument("--steps", type=int, default=7, help="pictures in a row")
    _add_samples(parser)
    parser.add_argument("--out", default="edit.png", help="the PNG to write")
    parser.set_defaults(run=_edit)


def _add_directions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layers", default="all", help='"all", an index, or ranges such as "0-1" or "0,2-5"')
    parser.add_argument("--top", type=int, default=10, help="how many directions")
    parser.add_argument(
        "--alpha", type=float, default=1.0, help="length of the step that is scored, for all directions"
    )


def _add_samples(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", default="0-4", help='which samples, such as "0-4" or "7,12"')
    _add_truncation(parser)


def _add_predictor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--predictor",
        default="",
        help="what reads pictures: world:NAME, learned:NAME, resnet:FILE?names=smile,age or package.module:function; "
        "the GAN's world if unset",
    )


def _add_truncation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--psi", type=float, help="truncation of styles; the published demo's if unset")
    parser.add_argument("--cutoff", type=int, help="truncate this many layers only")


def _sefa(args: argparse.Namespace) -> None:
    from ganx.sefa.commands import run_sefa

    run_sefa(args)


def _rescore(args: argparse.Namespace) -> None:
    from ganx.sefa.commands import run_rescore

    run_rescore(args)


def _edit(args: argparse.Namespace) -> None:
    from ganx.sefa.commands import run_edit

    run_edit(args)
