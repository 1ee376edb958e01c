"""Dissection: counting where units and labels meet, ganx against PyTorch, and the memory that counting takes.

    python scripts/bench/dissection.py --device cpu --pin 1
    python scripts/bench/dissection.py --device cpu --pin 1 --original CLONE   # of CSAILVision/gandissect
    python scripts/bench/dissection.py --device cpu --pin 1 --memory 1000      # images at 64² that stream

A tally starts from feature maps and label maps in memory and ends in exact counts. PyTorch goes image by image and
label by label, as the authors' tool does; the twin is ours, `--original` runs theirs. Features are smooth noise, a
unit is active on 1% of the pixels, and every image shows some regions of each channel. Before timing, both sides must
count the same: pixels that round to the other side of a threshold are at most one in a million.
"""

from __future__ import annotations

import resource
import time
from typing import Any

import harness


def options() -> Any:
    """The command line."""
    parser = harness.parser(__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=8, help="images a run")
    parser.add_argument("--units", type=int, default=512, help="units")
    parser.add_argument("--labels", type=int, default=336, help="labels in all")
    parser.add_argument("--shown", type=int, nargs="+", default=[12, 24, 36], help="labels that an image shows")
    parser.add_argument("--channels", type=int, default=3, help="labels a pixel")
    parser.add_argument("--side", type=int, default=128, help="side of the segmentation")
    parser.add_argument("--original", metavar="CLONE", help="time this clone instead of our restatement")
    parser.add_argument("--memory", type=int, metavar="N", help="stream N images at 64² and tell what memory it took")
    return parser.parse_args()


def scenes(rng: Any, n: int, args: Any, shown: int, side: int) -> tuple[Any, Any]:
    """Maps float32 `[n, 8, 8, U]` and labels int32 `[n, K, H, W]`: regions around random points."""
    import numpy as np

    features = rng.normal(size=(n, 8, 8, args.units)).astype(np.float32)
    y, x = np.mgrid[:side, :side]
    labels = np.empty((n, args.channels, side, side), np.int32)
    for image in labels:
        names = rng.choice(np.arange(1, args.labels), shown, replace=False)
        for channel, part in zip(image, np.array_split(names, args.channels), strict=True):
            at = side * rng.random((2, len(part), 1, 1))
            channel[:] = part[((y - at[0]) ** 2 + (x - at[1]) ** 2).argmin(0)]
    return features, labels


def counting(args: Any, shown: int) -> harness.Row:
    """Maps and labels to counts."""
    import jax.numpy as jnp
    import numpy as np
    import torch
    from torch_dissection import original
    from torch_dissection import tally as loop

    from ganx.dissection.quantiles import hazen
    from ganx.dissection.tally import tally
    from ganx.dissection.upsample import upsample

    features, labels = scenes(np.random.default_rng(0), args.images, args, shown, args.side)
    category = np.arange(args.labels) * 3 // args.labels
    first = np.asarray(upsample(features[:1], (args.side, args.side)))[0]
    levels = hazen(first.reshape(args.units, -1).T, [0.99])[:, 0]
    thresholds = levels.round(3).astype(np.float32)  # off the values themselves: each side rounds those its own way
    device = "cuda" if args.device == "gpu" else "cpu"
    planes = features.transpose(0, 3, 1, 2).copy()
    maps, seg, level = (torch.tensor(x, device=device) for x in (planes, labels.astype(np.int64), thresholds))
    if args.original:
        theirs = original(args.original, maps, seg, level, category)
    else:
        theirs = lambda: loop(maps, seg, level, torch.tensor(category), 3)  # noqa: E731
    batch = (features, labels) if device == "cpu" else (jnp.asarray(features), jnp.asarray(labels))
    began = time.perf_counter()
    counts = tally(*batch, thresholds, category)
    seconds = time.perf_counter() - began
    mine = (counts.intersection, counts.label_area, counts.unit_area, counts.total)
    apart = sum(int(np.abs(a - b).sum()) for a, b in zip(mine, theirs(), strict=True))
    if apart > 1e-6 * args.units * labels.size:
        raise SystemExit(f"the twins' counts differ by {apart}")
    gflop = (
        2 * args.images * args.units * args.labels * args.side**2 / 1e9
    )  # of the matrix product that this amounts to
    sides = (harness.Side(lambda: tally(*batch, thresholds, category), seconds, gflop), harness.Side(theirs, 0, gflop))
    name = f"{args.images} images, {args.units} units, {args.labels} labels, {shown} shown, {args.side}²"
    return harness.measure(name, args.images, *sides, args.repeats)


def streaming(args: Any) -> str:
    """Memory that counts and exact quantiles take over a stream of images at 64²."""
    import numpy as np

    from ganx.dissection.quantiles import quantile
    from ganx.dissection.tally import empty, tally
    from ganx.dissection.upsample import upsample

    category = np.arange(args.labels) * 3 // args.labels
    features, labels = scenes(np.random.default_rng(0), 32, args, 24, 64)

    def stream(n: int) -> Any:
        for start in range(0, n, 32):
            yield features[: n - start], labels[: n - start]

    def blocks(n: int) -> Any:
        return (np.asarray(upsample(m, (64, 64))) for maps, _ in stream(n) for m in maps)

    lines = []
    for n in (args.memory // 4, args.memory):
        began = time.perf_counter()
        level = quantile(lambda n=n: blocks(n), 0.99).astype(np.float32)
        middle = time.perf_counter()
        total = empty(category, args.units)
        for part in stream(n):
            total += tally(*part, level, category)
        now = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        lines.append(f"{n} images: quantiles {middle - began:.1f} s, tally {now - middle:.1f} s, peak {peak:.0f} MB")
    return "\n".join(lines)


def main() -> None:
    args = options()
    harness.prepare(args)
    print(harness.environment(args))
    if args.memory:
        print(streaming(args))
        return
    peak, source = harness.peak_gflops(args.device)
    print(f"float32; peak {peak:.0f} GFLOP/s ({source})\n", flush=True)
    rows = [harness.cells(counting(args, shown), peak, args.device) for shown in args.shown]
    print(harness.table(harness.HEADER, rows, args.markdown))


if __name__ == "__main__":
    main()
