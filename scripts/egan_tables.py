"""E-GAN on Gaussians beside single objectives and random selection: modes held, quality and balance, seed by seed.

    python scripts/egan_tables.py --out runs/gaussians8 --modes 8
    python scripts/egan_tables.py --out runs/gaussians25 --modes 25 --steps 15000

Each method is E-GAN's own loop with the mutations that it names, so that all else is equal. Quality is the share of
10,000 samples within three deviations of a mode, the mean of three checkpoints a tenth of the training apart. Runs that
are there already are not trained again.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from ganx.egan import add_egan
from ganx.egan.compare import modes
from ganx.egan.history import history, member, warning
from ganx.egan.points import SAMPLES
from ganx.training import default_config
from ganx.training.loop import train

METHODS = {
    "E-GAN, gamma 0.01": {"gamma": 0.01},
    "E-GAN, gamma 0": {"gamma": 0.0},
    "E-GAN, gamma 2": {"gamma": 2.0},
    "E-GAN, 2 parents": {"gamma": 0.01, "parents": 2},
    "E-GAN, 4 parents": {"gamma": 0.01, "parents": 4},
    "E-GAN, 8 parents": {"gamma": 0.01, "parents": 8},
    "random selection": {"selection": "random"},
    "minimax alone": {"mutations": ("minimax",)},
    "heuristic alone": {"mutations": ("heuristic",)},
    "least squares alone": {"mutations": ("least_squares",)},
    "LSGAN": {"mutations": ("least_squares_logit",)},
    "WGAN-GP": {"mutations": ("wasserstein",)},
}
LOSSES = {"LSGAN": "least_squares", "WGAN-GP": "wasserstein"}
"""What D descends where it is not the logistic loss; a penalised critic has no batch norm (Gulrajani et al. 2017)."""


def configuration(name: str, args: argparse.Namespace, seed: int) -> ConfigDict:
    """The toy setting of the specification: initial weights scaled with the width, Adam 2e-4."""
    config = default_config()
    config.data.source = f"world:gaussians?modes={args.modes}"
    config.model.family = "mlp"
    net = {"width": args.width, "std": args.std or 0.02 * math.sqrt(512 / args.width)}
    penalised = name == "WGAN-GP"
    config.model.generator, config.model.discriminator = dict(net), {**net, "norm": not penalised}
    config.batch, config.d.b1, config.seed = 64, 0.0, seed
    config.loss = LOSSES.get(name, config.loss)
    config.gradient_penalty.weight = 10.0 if penalised else 0.0
    config.steps = args.steps
    config.log_every, config.sample_every, config.checkpoint_every = 500, 0, args.steps
    config.steps_per_call = 100
    return add_egan(config, evaluation=256, **METHODS[name])


def score(name: str, args: argparse.Namespace, seed: int) -> tuple[np.ndarray, str]:
    """Modes at the end, mean quality of three checkpoints, divergence at the end; and what the run warns of."""
    folder = Path(args.out) / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
    found = []
    for steps in (8 * args.steps // 10, 9 * args.steps // 10, args.steps):
        kept = folder / f"coverage-{steps}.npz"
        if not kept.exists():
            config = configuration(name, args, seed)
            config.steps = steps
            if not train(config, folder).finished:
                raise SystemExit("stopped; run the same command to go on")
            covered = modes(member(folder, 0), jax.random.key(7), SAMPLES)
            assert covered is not None
            np.savez(kept, modes=covered.modes, quality=covered.quality, divergence=covered.divergence)
        with np.load(kept) as arrays:
            found.append([float(arrays[key]) for key in ("modes", "quality", "divergence")])
    last = found[-1]
    told = warning(history(folder))
    return np.array([last[0], np.mean([each[1] for each in found]), last[2]]), told


def main() -> None:
    """Trains what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder of the runs")
    parser.add_argument("--modes", type=int, default=8, choices=(8, 25))
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--std", type=float, default=0.0, help="of initial weights; by default 0.02 sqrt(512 / width)")
    parser.add_argument("--steps", type=int, default=15_000, help="generations")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    args = parser.parse_args()
    rows = ["| method | modes | quality | its median | divergence, nats | warned |", "|" + " --- |" * 6]
    for name in args.methods:
        found = [score(name, args, seed) for seed in args.seeds]
        values = np.stack([each[0] for each in found])
        cells = [
            " / ".join(f"{value:{form}}" for value in values[:, i]) for i, form in enumerate((".0f", ".2f", ".3f"))
        ]
        warned = sum(bool(each[1]) for each in found)
        rows.append(f"| {name} | {cells[0]} | {cells[1]} | {np.median(values[:, 1]):.2f} | {cells[2]} | {warned} |")
        print(rows[-1], flush=True)
    print("\n" + "\n".join(rows))


if __name__ == "__main__":
    main()
