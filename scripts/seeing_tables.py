"""What a GAN of a picture world cannot draw, by its statistics and by its inversion, where the truth is known.

    python scripts/seeing_tables.py scenes32-nobody 'world:scenes?size=32&freq=house:0,fence:0' --without person

Four tables: the area of every class, real and drawn; the losses of the layers' inverses, untrained and trained; the six
methods of inversion on pictures that the GAN drew itself, whose codes are known; and what became of every class in
reconstructions (method f) of real pictures that show the one it was trained without. Inverses are kept in --out.
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
import numpy as np
from etils import epath

import ganx
from ganx.data import open_source
from ganx.seeing import compare, session
from ganx.seeing.chain import Chain, cut
from ganx.seeing.evaluate import inversion_report
from ganx.seeing.inverter import Inverter
from ganx.seeing.measure import measure, of_gan, of_source
from ganx.seeing.methods import METHODS, InvertOptions, draw, invert
from ganx.seeing.omissions import Omissions, agreement, error_ratio
from ganx.seeing.pictures import labels_of
from ganx.seeing.training import FitOptions
from ganx.segmenters import open_segmenter


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("gan", help="a GAN trained on a picture world")
    parser.add_argument("real", help="that world, with the class that the GAN never saw")
    parser.add_argument("--without", required=True, help="the class that it never saw")
    parser.add_argument("--segmenter", default="", help="reads both sides; the world's own rules by default")
    parser.add_argument("--samples", type=int, default=4000, help="pictures counted on each side")
    parser.add_argument("--methods", default="abcdef", help="of inversion")
    parser.add_argument("--images", type=int, default=12, help="pictures inverted, of its own and of the world")
    parser.add_argument("--steps", type=int, default=300, help="updates of an inversion")
    parser.add_argument("--lr", type=float, default=0.1, help="their rate for f; published: 0.01 and 3000 updates")
    parser.add_argument("--strength", type=float, default=0.01, help="weight of f's perturbations; published: 1")
    parser.add_argument("--fit-steps", type=int, default=400, help="training of the inverses layer by layer")
    parser.add_argument("--joint-steps", type=int, default=400, help="training of the inverses together")
    parser.add_argument("--width", type=int, default=8, help="channels of the encoder's first stage")
    parser.add_argument("--seed", type=int, default=0, help="everything random follows from it")
    parser.add_argument("--out", default="seeing", help="folder for the inverses")
    return parser.parse_args()


def statistics(gan: Any, args: argparse.Namespace, segmenter: Any) -> Any:
    """Areas, class by class."""
    real = measure(of_source(open_source(args.real), segmenter), args.samples, 128)
    drawn = measure(of_gan(gan, segmenter, jax.random.key(args.seed + 1), "drawn"), args.samples, 128)
    found = compare(real.moments(), {"drawn": drawn.moments()}, real.names, None)
    side = found.sides["drawn"]
    rows = [
        (name, f"{found.mean[i]:.2f}", f"{side.mean[i]:.2f}", f"{side.delta[i]:+.2f}", f"{side.z[i]:+.0f}")
        for i, name in enumerate(found.names)
    ]
    table(("class", "% of pixels, real", "drawn", "relative delta", "z"), rows)
    print(f"FSD {side.distance.value:.3g} at {args.samples} pictures on each side\n")
    return found


def inverses(chain: Chain, args: argparse.Namespace) -> tuple[Inverter, Inverter | None]:
    """Layered ones and, for b and c, one learned directly with as many steps in all; what it does to the losses."""
    both, rows = [], []
    for name, steps in (("layered", args.fit_steps), ("direct", 0)):
        if name == "direct" and not set("bc") & set(args.methods):
            continue
        fit = FitOptions(
            steps, args.fit_steps + args.joint_steps - steps, lr=1e-3, lr_image=1e-3, lr_joint=5e-4, width=args.width
        )
        losses: dict[str, list[dict[str, float]]] = {}

        def report(stage: str, _: int, metrics: Any, losses: dict[str, list[dict[str, float]]] = losses) -> None:
            losses.setdefault(stage, []).append({k: float(v) for k, v in metrics.items()})

        key = jax.random.key(args.seed)
        both.append(session.inverter(epath.Path(args.out) / name, chain, fit, key, report))
        for stage, log in losses.items():
            rows += [(name, stage, loss, f"{log[0][loss]:.3g}", f"{log[-1][loss]:.3g}") for loss in log[0]]
    if rows:
        table(("inverses", "stage", "loss", "first step", "last step"), rows)
    return both[0], both[1] if len(both) > 1 else None


def _options(method: str, args: argparse.Namespace) -> InvertOptions:
    return InvertOptions(method, args.steps, args.lr, strength=args.strength)


def methods(chain: Chain, args: argparse.Namespace, layered: Inverter, direct: Inverter | None) -> None:
    """Figure 6: correlations of codes, features and pixels, method by method."""
    z = np.asarray(chain.gan.latents(jax.random.key(args.seed + 2), args.images))
    truth = draw(chain, z)
    rows = []
    for method in args.methods:
        key, how = jax.random.key(args.seed + 3), _options(method, args)
        found = invert(chain, truth.images, how, layered, direct, key=key)
        report = inversion_report(truth.images, found, z, truth.features)
        numbers = (f"{report[name]:.3f}" for name in ("code", "features", "pixels"))
        rows.append((f"{method}: {METHODS[method]}", *numbers, f"{found.last.mean():.4f}"))
    table(("method", "z", "r", "pixels", "loss"), rows)


def photographs(chain: Chain, args: argparse.Namespace, layered: Inverter, segmenter: Any, found: Any) -> None:
    """What became of every class, and how much larger the error is inside it than outside."""
    world, unseen = open_source(args.real), segmenter.names.index(args.without)
    images = world.gather(np.arange(20 * args.images)).image.astype(np.float32) / 127.5 - 1
    shown = (labels_of(segmenter, images) == unseen).any((1, 2))
    images = images[shown][: args.images]
    inverted = invert(chain, images, _options("f", args), layered)
    redrawn = inverted.images
    before, after = (labels_of(segmenter, x) for x in (images, redrawn))
    lost = Omissions.of_labels(before, after, segmenter.names)
    rows = []
    for i in lost.ranking():
        instead = ", ".join(f"{name} {share:.0%}" for name, share in lost.instead(i)[:3])
        ratio = error_ratio(images, redrawn, before == i)
        delta = found.sides["drawn"].delta[found.row(segmenter.names[i])]
        rows.append((segmenter.names[i], f"{lost.fraction()[i]:.0%}", instead, f"{ratio:.1f}", f"{delta:+.2f}"))
    table(("class", "omitted", "drawn instead", "error inside / outside", "relative delta"), rows)
    rank = agreement(lost, found.names, found.sides["drawn"]).correlation
    pixels = inversion_report(images, inverted)["pixels"]
    print(f"{len(images)} pictures, pixel correlation {pixels:.3f}; omissions and -delta, rank correlation {rank:.2f}")


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A table as pages have it."""
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    print("\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n", flush=True)


def main() -> None:
    args = options()
    gan = ganx.load(args.gan)
    segmenter = open_segmenter(args.segmenter or args.real)
    found = statistics(gan, args, segmenter)
    chain = cut(gan)
    print(f"cut after {chain.cuts[-1]}: {chain.ratio:.2f} numbers for each of the image\n")
    layered, direct = inverses(chain, args)
    methods(chain, args, layered, direct)
    photographs(chain, args, layered, segmenter, found)


if __name__ == "__main__":
    main()
