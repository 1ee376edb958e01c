"""Seeing: counting classes and their moments, and inverting images, ganx against PyTorch.

    python scripts/bench/seeing.py --device cpu --pin 1
    python scripts/bench/seeing.py --device gpu --maps 10000 --images 256 --steps 500

The counting row is label maps in memory to exact first and second moments; PyTorch counts image by image. The inversion
row perturbs the first stage's output of the bundled faces32: ganx all images together, PyTorch one at a time.
Before timing, both sides must find the same moments, and the same images to 0.02 after the first updates.
"""

from __future__ import annotations

import time
from typing import Any

import harness


def options() -> Any:
    """The command line."""
    parser = harness.parser(__doc__.split("\n")[0])
    parser.add_argument("--maps", type=int, default=512, help="label maps of 256 x 256 to count")
    parser.add_argument("--classes", type=int, default=336, help="classes")
    parser.add_argument("--images", type=int, default=16, help="images to invert")
    parser.add_argument("--steps", type=int, default=20, help="updates of each inversion")
    return parser.parse_args()


def counting(args: Any) -> harness.Row:
    """Label maps to moments."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import torch
    from torch_seeing import moments

    from ganx.seeing import Moments

    rng = np.random.default_rng(0)
    labels = rng.integers(0, args.classes, (args.maps, 16, 16), np.int16).repeat(16, 1).repeat(16, 2)
    ours, theirs = jnp.asarray(labels), torch.tensor(labels, device="cuda" if args.device == "gpu" else "cpu")
    found = lambda: Moments.empty(args.classes, 256 * 256).update(ours)  # noqa: E731
    began = time.perf_counter()
    first, (total, square) = found(), moments(theirs, args.classes)
    seconds = time.perf_counter() - began
    if (first.total != total.cpu().numpy()).any() or (first.square != square.cpu().numpy()).any():
        raise SystemExit("the twins' moments differ")

    def torch_run() -> None:
        moments(theirs, args.classes)
        if args.device == "gpu":
            torch.cuda.synchronize()

    gflop = 2 * args.maps * (2 * args.classes) ** 2 / 1e9
    sides = (
        harness.Side(lambda: jax.block_until_ready(found().total), seconds, gflop),
        harness.Side(torch_run, 0, gflop / 4),
    )
    return harness.measure(f"{args.maps} maps of 256², {args.classes} classes", args.maps, *sides, args.repeats)


def inverting(args: Any) -> harness.Row:
    """Images to reconstructions."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from torch_seeing import TorchLate, inversion_step

    import ganx
    from ganx.seeing.chain import cut
    from ganx.seeing.descent import Schedule, _advance, descend
    from ganx.seeing.relax import Relaxation, prepare

    gan = ganx.load("faces32")
    chain = cut(gan, "s0")
    images = jnp.asarray(gan(gan.latents(jax.random.key(0), args.images)))
    z = 0.5 * gan.latents(jax.random.key(1), args.images)
    start = {"s0": jnp.zeros((args.images, *gan.shapes["s0"]))}
    objective, data = Relaxation(chain, None, 1.0, "none"), prepare(images, None, z)
    run = lambda steps: descend(objective, start, data, Schedule(steps, 0.01, (), "last"))  # noqa: E731
    device = "cuda" if args.device == "gpu" else "cpu"
    net = TorchLate(gan.variables, device)
    few = run(3).variable["s0"]
    mine = np.asarray(gan.since("s0", gan.until("s0", z).features + few))
    other = inversion_step(net, images, z, 3, 0.01, device)().permute(0, 2, 3, 1).cpu().numpy()
    if (gap := float(np.abs(mine - other).max())) > 0.02:
        raise SystemExit(f"the twins' images differ by {gap:.2g}")
    schedule = Schedule(args.steps, 0.01, (), "last")
    carry = (start, schedule.adam().init(start), start, jnp.zeros(args.images))
    lowered = _advance.lower(objective, carry, data, schedule, 1)
    gflop = (lowered.compile().cost_analysis() or {}).get("flops", 0.0) / 1e9 * args.steps
    began = time.perf_counter()
    jax.block_until_ready(run(args.steps).last)
    seconds = time.perf_counter() - began
    ours = harness.Side(lambda: jax.block_until_ready(run(args.steps).last), seconds, gflop)
    theirs = harness.torch_side(inversion_step(net, images, z, args.steps, 0.01, device), args.device)
    return harness.measure(f"{args.images} images, {args.steps} updates", args.images, ours, theirs, args.repeats)


def main() -> None:
    args = options()
    harness.prepare(args)
    peak, source = harness.peak_gflops(args.device)
    print(harness.environment(args))
    print(f"float32; peak {peak:.0f} GFLOP/s ({source})\n", flush=True)
    rows = []
    for name, bench in (("counting", counting), ("inverting", inverting)):
        if args.only not in name:
            continue
        row = bench(args)
        rows.append(harness.cells(row, peak, args.device))
        rate = 60e3 * row.images / harness.median(row.ours_ms.wall)
        print(f"{row.name}: {rate:.0f} images/min, {rows[-1][3]} ({rows[-1][1]} against {rows[-1][2]} ms)", flush=True)
    print("\n" + harness.table(harness.HEADER, rows, args.markdown))


if __name__ == "__main__":
    main()
