"""The verbs that put modules together: `ganx compose` and `ganx modules`."""

from __future__ import annotations

import argparse

from ganx.command import Formatter, Verbs

ORDER = 60


def add(verbs: Verbs) -> None:
    """Adds them to the command line."""
    _add_compose(verbs)
    _add_modules(verbs)


def _add_compose(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "compose",
        help="change attributes of images by a program of modules",
        description="Runs a program of modules on images: any subset, in any order, in one pass through the network. "
        "A modular GAN that generates draws its images first.",
        epilog="""examples:
  ganx compose runs/faces --program hair=blond,smile=1,glasses=0
  ganx compose runs/faces --images folder:photos --program smile=yes --out smiling.png
  ganx compose runs/faces --images me.jpg --grid hair,smile
  ganx compose runs/digits --content 3,7 --program colour=blue,style=stroke        (images from codes)""",
        formatter_class=Formatter,
    )
    parser.add_argument("gan", help="a modular GAN, or the folder of a run")
    parser.add_argument("--images", help="a picture or a source of images; by default what the GAN was trained on")
    parser.add_argument("--program", help="steps in order: attribute=value,attribute=value (names or indices)")
    parser.add_argument("--grid", metavar="A,B", help="all pairs of values of two attributes, for the first image")
    parser.add_argument("--content", default="", help="what a GAN that generates shall draw: numbers, with commas")
    parser.add_argument("--seed", type=int, default=0, help="of the codes that it draws from")
    parser.add_argument("--count", type=int, default=8, help="number of images")
    parser.add_argument("--out", default="compose.png", help="the PNG to write")
    parser.set_defaults(run=_compose)


def _compose(args: argparse.Namespace) -> None:
    from ganx.errors import GanxError
    from ganx.modulargan import strips
    from ganx.modulargan.translator import open_translator
    from ganx.pictures import png, sheet
    from ganx.store import absolute

    if not (args.program or args.grid):
        raise GanxError("nothing to do; give --program attribute=value,… or --grid A,B")
    if args.count < 1:
        raise GanxError(f"--count={args.count} leaves no image; give 1 or more")
    model = open_translator(args.gan)
    given, label = None, None
    if model.module.classes:
        if args.images:
            raise GanxError("this modular GAN draws its images from codes; leave --images out, or say --content")
        begin, label = strips.codes(model, args.count, args.content, args.seed)
    elif args.content:
        raise GanxError("this modular GAN translates images and has no contents; leave --content out")
    else:
        begin = given = strips.read_images(model, args.images or model.gan.spec.data, args.count)
    if args.grid:
        down, comma, across = args.grid.partition(",")
        if not comma:
            raise GanxError(f"--grid={args.grid} names one attribute; write two, such as --grid hair,smile")
        pictures, rows, columns = strips.grid(
            model, begin[0], down.strip(), across.strip(), None if label is None else label[0]
        )
        print(f"rows: {', '.join(rows)}; columns: {', '.join(columns)}")
    else:
        made = model.compose(begin, args.program, label)
        pictures, columns = strips.strip(given, made)
        print(f"columns: {', '.join(columns)}")
        for line in strips.steps_of(made):
            print(line)
    path = absolute(args.out)
    try:
        path.write_bytes(png(sheet(pictures)))
    except OSError as error:
        raise GanxError(f"cannot write {path}: {error.strerror or error}; choose another --out") from None
    print(f"wrote {path}")


def _add_modules(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "modules",
        help="list, add, upgrade and merge the modules of a modular GAN",
        description="A modular GAN is an encoder, a reconstructor and one transformer an attribute.",
        epilog="""examples:
  ganx modules list runs/faces
  ganx modules add runs/faces --attributes glasses --out runs/with_glasses --steps 5000
  ganx modules add runs/faces --attributes smile --out runs/better_smile       (upgrades smile)
  ganx modules add runs/faces --attributes reconstructor --out runs/sharper        (upgrades a part that all share)
  ganx modules merge runs/faces runs/other --out gans/both""",
        formatter_class=Formatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("list", help="parts, values, sizes and fingerprints", formatter_class=Formatter)
    more = actions.add_parser("add", help="train modules, all others frozen", formatter_class=Formatter)
    join = actions.add_parser("merge", help="take modules of another modular GAN", formatter_class=Formatter)
    for action in (show, more, join):
        action.add_argument("gan", help="a modular GAN, or the folder of a run")
    more.add_argument(
        "--attributes", required=True, help="modules to add or to train on, or encoder, reconstructor; with commas"
    )
    more.add_argument("--source", help="images with these attributes; by default what the GAN was trained on")
    more.add_argument("--steps", type=int, default=10_000, help="training steps")
    more.add_argument("--batch", type=int, default=16, help="images of one update")
    more.add_argument("--out", required=True, help="the run's folder")
    join.add_argument("other", help="the modular GAN to take from")
    join.add_argument("--names", default="", help="modules to take; by default all that the first one lacks")
    join.add_argument("--force", action="store_true", help="although encoder or reconstructor differ")
    join.add_argument("--out", required=True, help="folder for the result")
    show.set_defaults(run=_list)
    more.set_defaults(run=_extend)
    join.set_defaults(run=_merge)


def _list(args: argparse.Namespace) -> None:
    from ganx.modulargan.store import list_modules
    from ganx.modulargan.translator import open_translator

    for part in list_modules(open_translator(args.gan).gan):
        values = f"  {', '.join(part.values)}" if part.values else ""
        print(f"{part.name:<18} {part.parameters / 1e6:>6.2f} M  {part.fingerprint}{values}")


def _extend(args: argparse.Namespace) -> None:
    from ganx.modulargan.extend import extension
    from ganx.training.loop import train

    config = extension(args.gan, args.attributes, args.source, args.steps, args.batch)
    run = train(config, args.out)
    print(f"{run.workdir}: step {run.step}; try it with: ganx compose {run.workdir} --program …")


def _merge(args: argparse.Namespace) -> None:
    from ganx.modulargan.store import list_modules, merge, save_merged
    from ganx.store import load

    names = tuple(name.strip() for name in args.names.split(",") if name.strip())
    merged = merge(load(args.gan, "modular"), load(args.other, "modular"), names, args.force)
    path = save_merged(merged, args.gan, args.out)
    print(f"{path}: {', '.join(part.name for part in list_modules(merged))}")
