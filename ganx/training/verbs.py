"""The verb that trains."""

from __future__ import annotations

import argparse

from ganx.command import Formatter, Verbs

ORDER = 10


def add(verbs: Verbs) -> None:
    """Adds them to the command line."""
    _add_train(verbs)


def _add_train(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "train",
        help="train a GAN from a configuration",
        description="Trains a GAN, or goes on where the last checkpoint in --workdir stopped.",
        epilog="""Any value of the configuration can be set: --config.batch=32 --config.r1.gamma=1.0
A mistyped key or a value of the wrong type is refused before anything runs.

examples:
  ganx train --config configs/faces32.py --workdir runs/faces
  ganx train --config configs/stylegan2_64.py --workdir runs/mine --config.data.source=folder:photos?size=64
  ganx train --config configs/stylegan2_64.py --workdir runs/tuned --init gans/imported
  on every host of a TPU pod:  ganx train --config … --workdir gs://… --distributed""",
        formatter_class=Formatter,
    )
    parser.add_argument("--config", required=True, help="a Python file that defines get_config()")
    parser.add_argument("--workdir", required=True, help="the run's folder: checkpoints, metrics, samples")
    parser.add_argument("--init", help="a saved, imported or bundled GAN to start from, instead of random weights")
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
    if args.init:
        config.init = args.init
    if args.distributed or args.coordinator:
        from ganx.training.mesh import join_pod

        join_pod(args.coordinator, args.processes, args.process)
    from ganx.training.loop import train

    run = train(config, args.workdir)
    print(f"{run.workdir}: step {run.step}; look inside with: ganx explain {run.workdir} --out report")
