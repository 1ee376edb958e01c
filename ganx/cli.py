"""The `ganx` command: thin, one function a verb. Bad input is one line and exit code 2."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ganx.errors import GanxError, unknown

Verb = Callable[[argparse.Namespace], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; returns its exit code."""
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    try:
        args.overrides = _overrides(args, rest, parser)
        args.run(args)
    except GanxError as error:
        print(f"ganx: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output, such as `head`, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("ganx: interrupted", file=sys.stderr)
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="ganx", description="Train, take apart, edit and audit GANs.", formatter_class=_Formatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_train(verbs)
    _add_explain(verbs)
    _add_import(verbs)
    _add_data(verbs)
    _add_demo(verbs)
    return parser


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    pass


def _overrides(args: argparse.Namespace, rest: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """`--config.a.b=v` (or `--config.a.b v`) as `a.b=v`; anything else left over is an error."""
    texts, words = [], list(rest)
    while words:
        word = words.pop(0)
        if args.verb == "train" and word.startswith("--config."):
            if "=" not in word and words:
                word = f"{word}={words.pop(0)}"
            texts.append(word.removeprefix("--config."))
            continue
        known = [o for o in _options(parser, args.verb) if o.startswith("--")]
        raise unknown("option", word.split("=")[0], known)
    return texts


def _options(parser: argparse.ArgumentParser, verb: str) -> list[str]:
    actions = parser._subparsers._group_actions[0].choices[verb]._actions  # type: ignore[union-attr,index]
    return [option for action in actions for option in action.option_strings]


# -- train -----------------------------------------------------------------------------------------


def _add_train(verbs: argparse._SubParsersAction) -> None:
    parser = verbs.add_parser(
        "train",
        help="train a GAN from a configuration",
        description="Trains a GAN, or goes on where the last checkpoint in --workdir stopped.",
        epilog="""Any value of the configuration can be set: --config.batch=32 --config.r1.gamma=1.0
A mistyped key or a value of the wrong type is refused before anything runs.

examples:
  ganx train --config configs/faces32.py --workdir runs/faces
  ganx train --config configs/stylegan2_64.py --workdir runs/mine --config.data.source=folder:photos?size=64
  on every host of a TPU pod:  ganx train --config … --workdir gs://… --distributed""",
        formatter_class=_Formatter,
    )
    parser.add_argument("--config", required=True, help="a Python file that defines get_config()")
    parser.add_argument("--workdir", required=True, help="the run's folder: checkpoints, metrics, samples")
    parser.add_argument(
        "--distributed", action="store_true", help="one process of a pod (Cloud TPU and Slurm find the rest)"
    )
    parser.add_argument("--coordinator", help="HOST:PORT of the pod's first process, where it is not found by itself")
    parser.add_argument("--processes", type=int, help="number of processes of the pod")
    parser.add_argument("--process", type=int, help="this process's index, from 0")
    parser.set_defaults(run=_train)


def _train(args: argparse.Namespace) -> None:
    from ganx.training import load_config

    config = load_config(args.config, args.overrides)
    if args.distributed or args.coordinator:
        from ganx.training.mesh import join_pod

        join_pod(args.coordinator, args.processes, args.process)
    from ganx.training.loop import train

    run = train(config, args.workdir)
    print(f"{run.workdir}: step {run.step}; look inside with: ganx explain {run.workdir} --out report")


# -- explain ---------------------------------------------------------------------------------------


def _add_explain(verbs: argparse._SubParsersAction) -> None:
    parser = verbs.add_parser(
        "explain",
        help="look inside a GAN: one report page with every lens that applies",
        description="Writes OUT/index.html (one self-contained page), and the numbers as report.json and arrays.npz.",
        formatter_class=_Formatter,
    )
    parser.add_argument("gan", help="a training run, a saved or imported GAN, or a bundled name")
    parser.add_argument("--out", default="report", help="folder for the report")
    parser.add_argument("--seed", type=int, default=0, help="seed of the latents shown")
    parser.add_argument("--only", help="comma-separated lenses to apply (all that fit by default)")
    parser.set_defaults(run=_explain)


def _explain(args: argparse.Namespace) -> None:
    from ganx.report import explain
    from ganx.store import load
    from ganx.training.logs import say

    gan = load(args.gan)
    only = args.only.split(",") if args.only else None
    print(explain(gan, args.out, seed=args.seed, only=only, title=Path(args.gan).name, progress=say))


# -- import ----------------------------------------------------------------------------------------


def _add_import(verbs: argparse._SubParsersAction) -> None:
    parser = verbs.add_parser(
        "import",
        help="turn a PyTorch checkpoint into a ganx one",
        description="Reads a checkpoint without PyTorch and without running anything in it.",
        formatter_class=_Formatter,
    )
    parser.add_argument("file", help="a .pt, .pth, .npz or .safetensors file")
    parser.add_argument("--discriminator", help="the discriminator's file, where it is a separate one")
    parser.add_argument("--out", required=True, help="folder for the ganx checkpoint")
    parser.add_argument("--family", help="the family, where the file does not tell")
    parser.set_defaults(run=_import)


def _import(args: argparse.Namespace) -> None:
    from ganx.convert import import_checkpoint, summary_table
    from ganx.store import save

    imported = import_checkpoint(args.file, args.family, args.discriminator)
    print(summary_table(imported))
    print(save(imported.gan, args.out, imported.discriminator))


# -- data ------------------------------------------------------------------------------------------


def _add_data(verbs: argparse._SubParsersAction) -> None:
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
        formatter_class=_Formatter,
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


# -- demo ------------------------------------------------------------------------------------------


def _add_demo(verbs: argparse._SubParsersAction) -> None:
    parser = verbs.add_parser(
        "demo",
        help="train a small GAN on the embedded faces and open it up, in about five minutes on two CPU cores",
        formatter_class=_Formatter,
    )
    parser.add_argument("--out", default="runs/demo", help="folder for the run and its report")
    parser.add_argument("--steps", type=int, help="training steps, where the default is too long or too short")
    parser.set_defaults(run=_demo)


def _demo(args: argparse.Namespace) -> None:
    from ganx.demo import demo

    print(f"open {demo(args.out, args.steps)}")


if __name__ == "__main__":
    sys.exit(main())
