"""ModularGAN, its ablations and its baselines on one world, trained in one loop and measured alike.

    python scripts/modulargan_tables.py --out runs/modular --size 32 --width 16 --steps 20000
    python scripts/modulargan_tables.py --out runs/modular --world digits --size 32 --systems ModularGAN StarGAN

Every system sees the same pictures for the same number of steps (a step is `--critics` updates of the critics and one
of the rest; CycleGAN and IcGAN have one to one, so as many times the steps). The combination in `HELD_OUT` is kept
from all. Seeds are shown one by one, never the best of them. Runs that are there already are not trained again.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

import ganx
from ganx.modulargan.config import modular_config
from ganx.modulargan.evaluate import Evaluation, evaluate
from ganx.modulargan.targets import KINDS
from ganx.readers import attribute_reader
from ganx.training.loop import train

ATTRIBUTES = {"faces": "hair,smile,glasses", "digits": "colour,style,background"}
HELD_OUT = {
    "faces": "hair:blond.smile:yes.glasses:yes",
    "digits": "colour:red.style:stroke.background:cyan",
}
SYSTEMS: dict[str, dict[str, Any]] = {
    "ModularGAN": {},
    "without mask": {"mask": False},
    "without cyclic losses": {"cycle_features": 0.0, "cycle_image": 0.0},
    "without feature cycle": {"cycle_features": 0.0},
    "StarGAN": {"system": "stargan", "cls_loss": "bce_sum", "targets": "permute"},
    "StarGAN, as released": {"system": "stargan", "cls_loss": "bce_sum", "targets": "permute", "schedule": "released"},
    "CycleGAN": {"system": "cyclegan"},
    "IcGAN": {"system": "icgan", "schedule": "constant", "average": 0.0},
}


SMALL = ("AP", "guessing", "inside", "outside", "reconstruction", "idempotence", "identity", "distance")


def configuration(name: str, args: argparse.Namespace, seed: int) -> ConfigDict:
    """One system's training; "mask" is of the network, all else of the method."""
    options = dict(SYSTEMS[name])
    config = modular_config()
    config.data.source = f"world:{args.world}?size={args.size}&exclude={HELD_OUT[args.world]}"
    config.data.flip = args.world != "digits"  # a mirrored digit is another sign
    config.modulargan.attributes = ATTRIBUTES[args.world]
    family = options.get("system", "modular")
    config.model.family = family
    net: dict[str, Any] = {"width": args.width}
    critic = dict(net)
    if family != "icgan":
        net["blocks"] = args.blocks
    if family == "modular":
        config.modulargan.targets = args.targets
        net |= {"mask": options.pop("mask", True), "conditioning": args.conditioning}
        net["encoder_norm"] = args.world != "digits"  # norms take flat colours away
    with config.unlocked():
        config.model.generator, config.model.discriminator = net, critic
    config.modulargan.update(options)
    config.steps, config.batch, config.seed = args.steps, args.batch, seed
    config.d_steps, config.g.lr, config.d.lr = args.critics, args.lr, args.lr
    if family in ("cyclegan", "icgan"):
        config.d_steps, config.steps = 1, args.critics * args.steps
        config.g.lr = config.d.lr = 2 * args.lr
    config.checkpoint_every, config.sample_every, config.log_every = config.steps, 0, 100
    return config


def measured(name: str, args: argparse.Namespace, seed: int) -> Evaluation:
    """Trains a system if need be, and evaluates it."""
    folder = Path(args.out) / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
    if not train(configuration(name, args, seed), folder).finished:
        raise SystemExit("stopped; run the same command to go on")
    gan = ganx.load(folder)
    if args.judge == "rules":
        return evaluate(gan, args.count)
    reader = attribute_reader(args.world, args.size)
    identity = reader.identity if args.world == "faces" else None
    return evaluate(gan, args.count, reader.read, identity=identity)


def columns(found: Evaluation) -> dict[str, float]:
    """What the table shows of one run: errors in % by set of attributes, then the rest."""
    everything = max(found.errors, key=len)
    shown = {"+".join(chosen): 100 * e.any for chosen, e in found.errors.items()}
    shown["mean of all"] = 100 * found.errors[everything].mean
    shown["others changed"] = 100 * float(np.mean([e.others for c, e in found.errors.items() if c != everything]))
    shown["random order"] = 100 * found.orders.mean
    shown["order spread"] = 100 * found.orders.spread
    shown["distance of orders"] = found.orders.apart
    shown |= {f"held out: {text}": 100 * e.any for text, e in found.held_out.items()}
    for name, place in found.localisation.items():
        shown |= {f"AP {name}": place.average_precision, f"guessing {name}": place.chance}
        shown |= {f"AP by pixel {name}": place.by_pixel, f"guessing by pixel {name}": place.pixel_chance}
        shown |= {f"inside {name}": place.inside, f"outside {name}": place.outside}
    shown |= {"reconstruction": found.reconstruction or 0.0, "idempotence": found.idempotence}
    if found.identity is not None:
        shown |= {f"identity {key}": value for key, value in dataclasses.asdict(found.identity).items()}
    return shown


def table(names: list[str], runs: list[list[dict[str, float]]]) -> str:
    """Systems across, figures down; the seeds of each as they are, then their mean if there are several."""
    lines = ["| | " + " | ".join(names) + " |", "|" + " --- |" * (len(names) + 1)]
    for key in runs[0][0]:
        form = ".3f" if key.startswith(SMALL) else ".1f"  # the others are in %
        cells = []
        for seeds in runs:
            values = [run[key] for run in seeds]
            each = " / ".join(f"{value:{form}}" for value in values)
            cells.append(each if len(values) == 1 else f"{each} ({np.mean(values):{form}})")
        lines.append(f"| {key} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Trains what is missing and prints the judge's own accuracy, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder of the runs")
    parser.add_argument("--world", default="faces", choices=list(ATTRIBUTES))
    parser.add_argument("--size", type=int, default=32, help="pixels a side")
    parser.add_argument("--width", type=int, default=16, help="of the first layers (the paper: 64)")
    parser.add_argument("--blocks", type=int, default=2, help="residual blocks (the paper: 6)")
    parser.add_argument("--conditioning", default="repeat", choices=("repeat", "film"), help="of ModularGAN")
    parser.add_argument("--targets", default="other", choices=KINDS, help="values that ModularGAN is asked for")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--critics", type=int, default=5, help="updates of the critics in a step")
    parser.add_argument("--lr", type=float, default=1e-4, help="Adam's; twice that for CycleGAN and IcGAN")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--count", type=int, default=1000, help="test images")
    parser.add_argument("--judge", default="learned", choices=("learned", "rules"), help="network, or exact rules")
    args = parser.parse_args()
    runs = []
    for name in args.systems:
        found = [measured(name, args, seed) for seed in args.seeds]
        own = ", ".join(f"{key} {100 * value:.1f} %" for key, value in found[0].classifier.items())
        print(f"{name}: the judge itself is right on clean pictures: {own}", flush=True)
        runs.append([columns(each) for each in found])
        print(table([name], runs[-1:]), flush=True)
    print("\n" + table(args.systems, runs))


if __name__ == "__main__":
    main()
