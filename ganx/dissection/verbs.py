"""The verb that dissects."""

from __future__ import annotations

import argparse
from pathlib import Path

from ganx.command import Formatter, Verbs

ORDER = 32


def add(verbs: Verbs) -> None:
    """Adds it to the command line."""
    parser = verbs.add_parser(
        "dissect",
        help="which unit draws what: units against classes, shown, ablated, inserted",
        description="""Writes OUT/index.html, a gallery of units on the images that excite them and charts of units by
concept, with the numbers in OUT/STAGE.json, .npz, .csv and -concepts.csv for every layer, and for
  --ablate CLASS               OUT/STAGE-ablate-CLASS.html and .png: untouched above, without its best units below
  --insert CLASS --at MASK.png OUT/STAGE-insert-CLASS.html and .png: the class drawn where the mask is white
  --repair                     OUT/STAGE-repair.html and .png: without units that draw artefacts, with the Fréchet
                               distance to real images before and after
The pages link to each other; with --out REPORT/dissection also to the page that `ganx explain --out REPORT` wrote.""",
        formatter_class=Formatter,
    )
    parser.add_argument("gan", help="a training run, a saved or imported GAN, or a bundled name")
    parser.add_argument("--out", default="dissection", help="folder to write into")
    parser.add_argument("--layers", help="comma-separated stages; the one at a quarter of the resolution by default")
    parser.add_argument("--segmenter", help="such as colours, unet:faces or upernet:FOLDER; a world's by default")
    parser.add_argument("--images", type=int, default=1000, help="images to count over")
    parser.add_argument(
        "--threshold", default="iqr", help="'iqr', or the share of values that are active, such as 0.01"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the latents")
    parser.add_argument(
        "--units", type=int, default=20, help="units that --ablate and --insert move, or --repair tries"
    )
    parser.add_argument("--by", default="iou", choices=("iou", "iqr", "ace"), help="which ranking they take them from")
    parser.add_argument("--ablate", metavar="CLASS", help="remove a class")
    parser.add_argument("--insert", metavar="CLASS", help="draw a class")
    parser.add_argument("--at", metavar="MASK.png", help="where to draw it; everywhere by default")
    parser.add_argument("--repair", action="store_true", help="remove units that draw artefacts; --units are tried")
    parser.add_argument("--groups", help="groups of units to score too: a run of IGAN, or groups.npz; the GAN's own")
    parser.add_argument("--real", help="real images to repair by, such as folder:PHOTOS?size=64; the training data's")
    parser.add_argument("--net", help="faces, inception or pixels: what images are compared through; the best at hand")
    parser.set_defaults(run=_dissect)


def _dissect(args: argparse.Namespace) -> None:
    from ganx.dissection.run import Request, run
    from ganx.training.logs import say

    threshold = args.threshold if args.threshold == "iqr" else _share(args.threshold)
    layers = tuple(args.layers.split(",")) if args.layers else ()
    acts = {name: value for name, value in (("ablate", args.ablate), ("insert", args.insert)) if value}
    request = Request(
        layers, args.segmenter or "", args.images, threshold, args.seed, args.units, args.by, acts, args.at or "",
        args.repair, args.groups or "", args.real or "", args.net or "",
    )  # fmt: skip
    print(run(args.gan, Path(args.out), request, say))


def _share(text: str) -> float:
    from ganx.errors import GanxError

    try:
        return float(text)
    except ValueError:
        raise GanxError(f"--threshold is 'iqr' or a share such as 0.01, not {text!r}") from None
