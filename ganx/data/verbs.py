"""The verbs that prepare and show data."""

from __future__ import annotations

import argparse

from ganx.command import Formatter, Verbs

ORDER = 90


def add(verbs: Verbs) -> None:
    """Adds them to the command line."""
    _add_data(verbs)


def _add_data(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "data",
        help="prepare, describe or preview a data source",
        description="""A source is one string:
  world:faces?size=64          rendered, with known truth: faces, scenes, digits, gaussians
  folder:PATH  zip:PATH        images, in class folders or with a dataset.json
  npz:PATH     record:PATH     arrays; what `ganx data prepare` writes
  tfds:NAME                    a prepared TensorFlow data set (array_record)
  idx:DIR cifar:PATH celeba:DIR lsun:DIR   the original files of MNIST, CIFAR-10, CelebA, LSUN
and options: ?size=64&crop=center-square&filter=lanczos&channels=3&split=test""",
        formatter_class=Formatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    info = actions.add_parser("info", help="size, shape, labels, attributes, licence")
    preview = actions.add_parser("preview", help="a contact sheet as PNG")
    prepare = actions.add_parser("prepare", help="decode, crop and resize once, for fast training")
    for action in (info, preview, prepare):
        action.add_argument("source", help="such as folder:photos?size=64&crop=center-square")
    preview.add_argument("--out", default="preview.png", help="the PNG to write")
    preview.add_argument("--count", type=int, default=64, help="number of examples")
    prepare.add_argument("--out", required=True, help="a folder of records, or a .zip in StyleGAN's layout")
    info.set_defaults(run=_info)
    preview.set_defaults(run=_preview)
    prepare.set_defaults(run=_prepare)


def _info(args: argparse.Namespace) -> None:
    from ganx.data import open_source
    from ganx.data.prepare import describe

    print(describe(open_source(args.source)))


def _preview(args: argparse.Namespace) -> None:
    from ganx.data import open_source
    from ganx.data.prepare import preview

    print(preview(open_source(args.source), args.out, args.count))


def _prepare(args: argparse.Namespace) -> None:
    from ganx.data.prepare import prepare

    print(prepare(args.source, args.out, progress=True))
