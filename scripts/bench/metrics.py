"""Metrics: ganx against the same numbers in PyTorch.

    python scripts/bench/metrics.py --device cpu --pin 1
    python scripts/bench/metrics.py --device gpu --points 50000 --batch 64

Rows are Inception's features of a batch, precision and recall of POINTS x POINTS features in blocks, and the Fréchet
distance at 2,048 dimensions (always on the host; SciPy's matrix square root beside it). Both sides must agree first.
"""

from __future__ import annotations

import resource
import time
from typing import Any

import harness

BLOCK = 2048  # rows and columns whose distances are there at a time, on both sides


def options() -> Any:
    """The command line."""
    parser = harness.parser(__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=8, help="images that go through Inception at once")
    parser.add_argument("--points", type=int, default=4096, help="features on either side, for precision and recall")
    parser.add_argument("--width", type=int, default=2048, help="of the features")
    return parser.parse_args()


def inception_row(args: Any) -> harness.Row:
    """Features of a batch of 299-pixel images."""
    import jax
    import numpy as np
    import torch
    import torch_metrics as twin

    from ganx.convert.inception_torch import inception
    from ganx.convert.keymap import Source

    device = "cuda" if args.device == "gpu" else "cpu"
    tensors = twin.weights()
    module, variables = inception(Source({name: t.numpy() for name, t in tensors.items()}))
    images = np.random.default_rng(0).uniform(-1, 1, (args.batch, 299, 299, 3)).astype(np.float32)
    fn = jax.jit(lambda variables, x: module.apply(variables, x)["2048"])
    program, seconds, gflop = harness.compile_jax(fn, variables, images)
    tensors = {name: t.to(device) for name, t in tensors.items()}
    x = torch.tensor(images, device=device).permute(0, 3, 1, 2)  # channels last in memory

    def step() -> Any:
        with torch.no_grad():
            return twin.inception(tensors, x)

    ours, theirs = np.asarray(program(variables, images)), step().cpu().numpy()
    if np.abs(ours - theirs).max() > (1e-4 if args.device == "cpu" or args.no_tf32 else 2e-2) * np.abs(theirs).max():
        raise SystemExit("the twins' features differ; they are not the same network")
    side = harness.Side(lambda: jax.block_until_ready(program(variables, images)), seconds, gflop)
    return harness.measure("Inception features", args.batch, side, harness.torch_side(step, args.device), args.repeats)


def manifold_row(args: Any) -> harness.Row:
    """Precision and recall, and for ours density and coverage besides."""
    import numpy as np
    import torch
    import torch_metrics as twin

    from ganx.metrics import manifold

    random = np.random.default_rng(1)
    real, fake = (random.normal(size=(args.points, args.width)).astype(np.float32) for _ in range(2))
    device = "cuda" if args.device == "gpu" else "cpu"
    sides = [torch.tensor(x, device=device) for x in (real, fake)]
    theirs = twin.precision_recall(*sides, 3, BLOCK)
    found = manifold(real, fake, k=3)
    if max(abs(found.precision - theirs[0]), abs(found.recall - theirs[1])) > 2 / args.points:
        raise SystemExit(f"precision and recall differ: {found} against {theirs}")
    square, edge = 2 * args.points**2 * args.width / 1e9, 2 * args.points * BLOCK * args.width / 1e9
    ours = harness.Side(lambda: manifold(real, fake, k=3, block=BLOCK), 0.0, 2 * square + edge)  # each pair once
    other = harness.Side(lambda: twin.precision_recall(*sides, 3, BLOCK), 0.0, 4 * square)
    return harness.measure(f"precision/recall {args.points}²", args.points, ours, other, min(args.repeats, 3))


def frechet_lines(args: Any) -> list[str]:
    """The Fréchet distance, once each: ours, eigenvalues of the product, SciPy's square root."""
    import numpy as np
    import scipy.linalg
    import torch
    import torch_metrics as twin

    from ganx.metrics import frechet, moments

    random = np.random.default_rng(2)
    mix = random.normal(size=(args.width, args.width)) / args.width**0.5
    a, b = ((random.normal(size=(2 * args.width, args.width)) @ mix + s).astype(np.float32) for s in (0.0, 0.1))
    known = moments(a), moments(b)
    wide = [torch.tensor(x, dtype=torch.float64) for x in (a, b)]

    def scipys() -> float:
        root = scipy.linalg.sqrtm(known[0].covariance @ known[1].covariance).real
        traces = np.trace(known[0].covariance + known[1].covariance - 2 * root)
        return float(np.square(known[0].mean - known[1].mean).sum() + traces)

    ways = {
        "ganx": lambda: frechet(*known).value,
        "eigenvalues (PyTorch)": lambda: twin.eigenvalue_frechet(*wide),
        "SciPy sqrtm": scipys,
    }
    lines = []
    for name, way in ways.items():
        cpu, wall = time.process_time(), time.perf_counter()
        value = way()
        spent = time.process_time() - cpu, time.perf_counter() - wall
        lines.append(f"Fréchet distance at {args.width}, {name}: {value:.8f} in {spent[0]:.1f} s CPU, {spent[1]:.1f} s")
    return lines


def main() -> None:
    args = options()
    harness.prepare(args)
    peak, source = harness.peak_gflops(args.device)
    print(harness.environment(args))
    print(f"batch {args.batch}, {args.points} points of {args.width}; peak {peak:.0f} GFLOP/s ({source})\n", flush=True)
    rows = []
    for name, make in (("Inception features", inception_row), ("precision/recall", manifold_row)):
        if args.only in name:
            rows.append(harness.cells(make(args), peak, args.device))
            print(f"{name}: {rows[-1][3]} ({rows[-1][1]} against {rows[-1][2]} ms)", flush=True)
    if rows:
        print("\n" + harness.table(harness.HEADER, rows, args.markdown) + "\n")
    if args.only in "Fréchet distance":
        print("\n".join(frechet_lines(args)))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB, all sides together")


if __name__ == "__main__":
    main()
