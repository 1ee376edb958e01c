"""The verbs that find what a GAN cannot draw."""

from __future__ import annotations

import argparse

from ganx.command import Formatter, Verbs

ORDER = 50


def add(verbs: Verbs) -> None:
    """Adds them to the command line."""
    _add_segstats(verbs)
    _add_fsd(verbs)
    _add_invert(verbs)
    _add_omissions(verbs)


def _counting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--segmenter", default="", help="such as world:scenes, unet:scenes; masks for a source's own; by default either"
    )
    parser.add_argument("--samples", type=int, default=10_000, help="pictures on each side; FSD depends on it")
    parser.add_argument("--batch", type=int, default=64, help="pictures at a time; changes no number")
    parser.add_argument("--seed", type=int, default=1, help="of the GANs' latents")


def _add_segstats(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "segstats",
        help="which classes get too few or too many pixels in generated pictures",
        description="""Segments real and generated pictures and compares the area of every class: OUT/comparison.png,
OUT/comparison.json and the tallies, from which an interrupted run goes on.""",
        epilog="""examples:
  ganx segstats world:faces?size=32 faces32 --samples 2000 --out stats
  ganx segstats folder:photos?size=256 gans/one gans/two --segmenter world:scenes --out stats
  ganx segstats 'zip:camvid.zip?split=train' 'zip:camvid.zip?split=val' --segmenter masks --samples 100""",
        formatter_class=Formatter,
    )
    parser.add_argument("real", help="a source of real pictures, or an .npz of tallies")
    parser.add_argument("generated", nargs="+", help="GANs; also sources, or .npz of tallies")
    _counting(parser)
    parser.add_argument("--top", type=int, default=30, help="classes shown")
    parser.add_argument("--out", default="segstats", help="folder for the results")
    parser.set_defaults(run=_segstats)


def _segstats(args: argparse.Namespace) -> None:
    from ganx.seeing.commands import segstats

    segstats(args)


def _add_fsd(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "fsd",
        help="Fréchet segmentation distance between two sets of pictures",
        description="One number for how differently two sets of pictures use their classes; see ganx segstats.",
        formatter_class=Formatter,
    )
    parser.add_argument("a", help="a source, a GAN, or an .npz of tallies")
    parser.add_argument("b", help="likewise")
    _counting(parser)
    parser.add_argument("--units", default="percent", choices=("percent", "fraction", "pixels"), help="of the areas")
    parser.set_defaults(run=_fsd)


def _fsd(args: argparse.Namespace) -> None:
    from ganx.seeing.commands import distance

    distance(args)


def _add_invert(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "invert",
        help="reconstruct pictures with the late layers of a GAN",
        description="""Trains inverses of the GAN's layers once, then reconstructs each picture. Interrupted, it goes on
where it stopped. Methods: a optimise z; b learn E directly; c b, then z; d layered E; e d, then z; f d, then the
layers' outputs.""",
        epilog="""The word samples among IMAGES checks the method: the GAN's own pictures have a known code. Their
correlations say whether what photographs lose can be believed.

examples:
  ganx invert faces32 samples --count 12 --width 16 --out inverted
  ganx invert gans/church folder:photos one.jpg --features vgg:vgg16-397923af.pth --out inverted""",
        formatter_class=Formatter,
    )
    parser.add_argument("gan", help="a training run, a saved or imported GAN, or a bundled name")
    parser.add_argument("images", nargs="+", help="picture files, sources, or samples (the GAN's own)")
    parser.add_argument("--out", default="inverted", help="folder for inverses, codes and reconstructions")
    parser.add_argument("--method", default="f", choices=tuple("abcdef"), help="how")
    parser.add_argument("--code-optimiser", default="adam", choices=("adam", "lbfgs"), help="of z, for methods c and e")
    parser.add_argument("--at", help="the stage after which the GAN is cut (a small map early in it by default)")
    parser.add_argument("--count", type=int, default=64, help="pictures of each source")
    parser.add_argument("--steps", type=int, default=3000, help="updates of the optimisation")
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate of the layers' outputs (f)")
    parser.add_argument("--strength", type=float, default=1.0, help="weight of what is added to them (f)")
    parser.add_argument("--batch", type=int, default=16, help="pictures at a time on each device")
    parser.add_argument("--fit-steps", type=int, default=10_000, help="training steps of the inverses by themselves")
    parser.add_argument("--joint-steps", type=int, default=10_000, help="training steps of all inverses together")
    parser.add_argument("--fit-batch", type=int, default=32, help="generated pictures a training step")
    parser.add_argument("--width", type=int, default=64, help="channels of the encoder's first stage")
    parser.add_argument("--features", default="none", help="none, trunk (of the encoder), or vgg:PATH")
    parser.add_argument("--label", type=int, help="the pictures' class, for a GAN with classes")
    parser.add_argument("--seed", type=int, default=0, help="everything random follows from it")
    parser.set_defaults(run=_invert)


def _invert(args: argparse.Namespace) -> None:
    from ganx.seeing.commands import reconstruct

    reconstruct(args)


def _add_omissions(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "omissions",
        help="what reconstructed pictures left out, and what was drawn instead",
        description="Segments pictures and their reconstructions; writes omissions.json and omissions.png there.",
        formatter_class=Formatter,
    )
    parser.add_argument("inverted", help="a folder that ganx invert wrote")
    parser.add_argument("--segmenter", required=True, help="such as world:scenes or unet:scenes")
    parser.add_argument("--statistics", help="a folder that ganx segstats wrote, to compare with")
    parser.set_defaults(run=_omissions)


def _omissions(args: argparse.Namespace) -> None:
    from ganx.seeing.commands import report_omissions

    report_omissions(args)
