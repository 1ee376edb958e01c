"""SeFa on the weights of StyleGAN2-1024: one range of layers, all four, and all of those and each single layer.

    OPENBLAS_NUM_THREADS=1 python scripts/bench/sefa.py --pin 1

The other side is the published tool's way (`torch_sefa.py`): one call a range. Weights are random with the published
shapes and a decaying spectrum. Before timing both sides must find the same eigenvalues. A last row times the styles of
GANSpace alone and with its streaming PCA.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import harness

RANGES = {"all": "all", "bottom": "0-1", "middle": "2-5", "top": "6-17"}
STYLE = 512


def options() -> Any:
    """The command line."""
    parser = harness.parser(__doc__.split("\n")[0])
    parser.add_argument("--codes", type=int, default=40_960, help="styles that the PCA row takes")
    return parser.parse_args()


def published_gan() -> Any:
    """A StyleGAN2-1024 that holds nothing but its style weights."""
    import numpy as np

    from ganx.gan import Gan, Spec
    from ganx.models.stylegan2 import generator

    module = generator(1024)
    stages = [f"layer{i}" for i in range(17)] + ["rgb8"]
    widths = [512] * 10 + [256] * 2 + [128] * 2 + [64] * 2 + [32] * 2
    rng = np.random.default_rng(0)
    decay = np.arange(1, STYLE + 1) ** -0.5
    turn = np.linalg.qr(rng.normal(size=(STYLE, STYLE)))[0]
    rows = {
        s: ((rng.normal(size=(w, STYLE)) * decay) @ turn).astype(np.float32)
        for s, w in zip(stages, widths, strict=True)
    }
    import jax.numpy as jnp

    params = {stage: {"style": {"kernel": jnp.asarray(matrix.T)}} for stage, matrix in rows.items()}
    names = module.stage_names()
    shapes = tuple((18, STYLE) if name == "map" else () for name in names)
    spec = Spec("stylegan2", 1024, 3, (STYLE,), "normal", 0, names, shapes)
    return Gan(module, {"params": params}, spec), [rows[stage] for stage in stages]


def their_side(weights: Sequence[Any], ranges: Sequence[Sequence[int]]) -> harness.Side:
    """One call a range."""
    from torch_sefa import factorise

    def run() -> None:
        for layers in ranges:
            factorise([weights[i] for i in layers])

    return harness.Side(run, 0.0, 0.0)


def our_side(run: Callable[[], Any]) -> harness.Side:
    """ganx's calls end on the host, so there is nothing to wait for."""
    import time

    began = time.perf_counter()
    run()
    return harness.Side(run, time.perf_counter() - began, 0.0)


def check_same(gan: Any, weights: Sequence[Any]) -> None:
    """Stops unless both sides find the same eigenvalues."""
    import numpy as np
    from torch_sefa import factorise

    from ganx.sefa import factorize

    theirs = np.sort(factorise(weights)[1].real)[::-1]
    worst = float(np.abs(factorize(gan).values - theirs).max() / theirs[0])
    if not worst < 2e-6:
        raise SystemExit(f"the eigenvalues differ by {worst:.1e} of the largest; this is not the same problem")


def pca_sides(codes: int) -> tuple[harness.Side, harness.Side]:
    """GANSpace's styles through their streaming PCA, and the mapping network alone, in this order."""
    import jax

    from ganx.models import init_gan
    from ganx.sefa import ganspace, pca

    gan = init_gan("stylegan2", {"resolution": 8, "channel_base": 64, "channel_max": 8}, jax.random.key(0))

    def stream() -> Any:
        return ganspace.styles(gan, jax.random.key(1), codes)

    def alone() -> None:
        for batch in stream():
            jax.block_until_ready(batch)

    return our_side(lambda: pca.principal_components(stream, 80)), our_side(alone)


def main() -> None:
    args = options()
    if args.pin is not None:
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
    harness.prepare(args)
    import torch

    from ganx.sefa import factorize, factorize_many

    gan, rows = published_gan()
    weights = [torch.from_numpy(matrix) for matrix in rows]
    print(harness.environment(args), flush=True)
    check_same(gan, weights)
    picked = [range(18), range(2), range(2, 6), range(6, 18)]
    single = [[i] for i in range(18)]
    every = RANGES | {f"layer {i}": str(i) for i in range(18)}
    pairs = list(zip(RANGES.items(), picked, strict=True))
    cases: list[tuple[str, Callable[[], Any], Sequence[Sequence[int]]]] = [
        *((f"range {n}", functools.partial(factorize, gan, t), [at]) for (n, t), at in pairs),
        ("4 ranges", lambda: factorize_many(gan, RANGES), picked),
        ("4 ranges and 18 layers", lambda: factorize_many(gan, every), [*picked, *single]),
    ]
    table = []
    for name, run, ranges in cases:
        if args.only in name:
            row = harness.measure(name, 1, our_side(run), their_side(weights, ranges), args.repeats)
            table.append(cells(row))
            print(*table[-1], sep="  ", flush=True)
    if args.only in "PCA":
        row = harness.measure(f"PCA of {args.codes} styles", args.codes, *pca_sides(args.codes), min(args.repeats, 3))
        assert row.theirs_ms is not None
        for name, ms in (("with the PCA", row.ours_ms), ("the mapping network alone", row.theirs_ms)):
            print(f"{row.name}, {name}: {harness.spread(ms.wall)} ms, processor {harness.spread(ms.cpu)} ms")
    print("\n" + harness.table(HEADER, table, args.markdown))


HEADER = (
    "weights of StyleGAN2-1024",
    "ours ms",
    "published way ms",
    "ratio",
    "ours, CPU ms",
    "published way, CPU ms",
    "by CPU time",
    "first call s",
)


def cells(row: harness.Row) -> tuple[str, ...]:
    """One row as text; the ratio is of medians."""
    assert row.theirs_ms is not None
    ratio = harness.median(row.theirs_ms.wall) / harness.median(row.ours_ms.wall)
    by_cpu = harness.median(row.theirs_ms.cpu) / harness.median(row.ours_ms.cpu)
    times = (harness.spread(row.ours_ms.wall), harness.spread(row.theirs_ms.wall))
    used = (harness.spread(row.ours_ms.cpu), harness.spread(row.theirs_ms.cpu))
    return (row.name, *times, f"{ratio:.1f}", *used, f"{by_cpu:.1f}", f"{row.ours.compile_s:.2f}")


if __name__ == "__main__":
    main()
