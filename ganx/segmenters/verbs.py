"""The verb that segments pictures."""

from __future__ import annotations

import argparse

from ganx.command import Formatter, Verbs

ORDER = 88


def add(verbs: Verbs) -> None:
    """Adds it to the command line."""
    parser = verbs.add_parser(
        "segment",
        help="what a segmenter reads in pictures, and how good it is",
        description="""A segmenter is named by one string, here as in dissect, segstats and fsd:
  world:faces                 the colours of a world's own pictures
  unet:faces?size=32          a small network for a world's pictures that are blurred: faces, scenes, digits
  unet:SOURCE                 the same network for real pictures: learns from the masks of a data source
  upernet:FOLDER              the published network of GAN Dissection: encoder and decoder .pth
  boxes:NAME=TOP,LEFT,BOTTOM,RIGHT&…   places in pictures that are aligned, as shares of their sides
  colours, NAME+colours       the eleven basic colours, alone or beside another that labels whole pictures
Networks of kind unet are trained when they are first asked for, some minutes on a CPU, and kept; how good they are on
pictures that they did not learn from is said. A SOURCE has splits, such as folders train, trainannot, val, valannot.
Names of its masks come from classes.txt or from &names=; pixels that are void, none or unknown are not learned.""",
        epilog="""examples:
  ganx segment 'unet:faces?size=32' faces32
  ganx segment 'unet:zip:camvid.zip?size=64x48&names=sky,building,…,void' 'zip:camvid.zip?split=val&size=64x48'""",
        formatter_class=Formatter,
    )
    parser.add_argument("segmenter", help="its name")
    parser.add_argument("pictures", help="a source of pictures, or a GAN")
    parser.add_argument("--out", default="segments.png", help="the PNG to write: pictures, what is read, masks")
    parser.add_argument("--count", type=int, default=24, help="how many pictures")
    parser.add_argument("--seed", type=int, default=0, help="of a GAN's latents")
    parser.set_defaults(run=_segment)


def _segment(args: argparse.Namespace) -> None:
    from ganx.segmenters.show import show

    for line in show(args.segmenter, args.pictures, args.out, args.count, args.seed):
        print(line)
