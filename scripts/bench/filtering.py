"""What minimal filtering (`ganx.models.winograd`) and plain products save on CPU: by layer, and in the training step.

    python scripts/bench/filtering.py --device cpu --pin 1

A ratio above 1 means that minimal filtering is faster than XLA's convolution, whose time stands beside it; "no" means
that ganx does not use it there.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import harness
import train_step

BATCH = 16
ONE = ((1, 1), (1, 1))
# stride, side of the smaller map, channels in and out
LAYERS = (
    (2, 32, 3, 64),
    (2, 16, 64, 128),
    (2, 8, 128, 256),
    (2, 4, 256, 512),
    (2, 8, 256, 512),
    (1, 64, 64, 64),
    (1, 32, 64, 64),
    (1, 32, 128, 128),
    (1, 16, 256, 256),
    (1, 8, 512, 512),
)
# samples, stride, side of the kernel and of the larger map, channels in and out: kernels whose gradient is a product
PRODUCTS = ((16, 1, 1, 64, 64, 64), (16, 1, 1, 16, 512, 512), (2, 2, 3, 65, 512, 512), (2, 2, 3, 33, 512, 512))

# stride, side of the smaller map, channels in and out: convolutions of colours, which get a channel of zeros
COLOURS = ((2, 16, 3, 32), (2, 32, 3, 24), (2, 32, 3, 32), (1, 64, 3, 24))


def arrays(stride: int, side: int, i: int, o: int) -> tuple[Any, Any, Any]:
    """An input, an output's slope and a kernel of one layer."""
    import jax

    window = 3 if stride == 1 else 4
    shapes = ((BATCH, stride * side, stride * side, i), (BATCH, side, side, o), (window, window, i, o))
    keys = jax.random.split(jax.random.key(0), 3)
    x, y, kernel = (jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True))
    return x, y, kernel


@contextlib.contextmanager
def without() -> Iterator[None]:
    """Convolutions as XLA has them."""
    from ganx.models import winograd

    with mock.patch.object(winograd, "serves", return_value=False):
        yield


def side_of(function: Callable[..., Any], *args: Any) -> harness.Side:
    import jax

    program, seconds, gflop = harness.compile_jax(jax.jit(function), *args)
    return harness.Side(lambda: jax.block_until_ready(program(*args)), seconds, gflop)


def layer_row(layer: tuple[int, int, int, int], repeats: int) -> tuple[str, ...]:
    """The three operations of one layer."""
    from ganx.models import correlate, winograd

    stride, side, i, o = layer
    x, y, kernel = arrays(*layer)
    static = {"stride": stride, "pads": ONE, "size": x.shape[1:3], "window": kernel.shape[:2]}
    operations = {
        "forward": (winograd.forward, correlate._correlate, (x, kernel)),
        "in_x": (winograd.in_x, correlate._in_x, (y, kernel)),
        "in_kernel": (winograd.in_kernel, correlate._in_kernel, (x, y)),
    }
    cells = [f"{kernel.shape[0]} x {kernel.shape[1]}, stride {stride}, {side} x {side}, {i} to {o}"]
    for name, (ours, theirs, args) in operations.items():
        with without():
            plain = side_of(functools.partial(theirs, **static), *args)
        row = harness.measure(name, BATCH, side_of(functools.partial(ours, stride=stride), *args), plain, repeats)
        used = winograd.serves(name, stride, ONE, kernel.shape[:2], x.shape[1:3], i, o, BATCH)
        assert row.theirs_ms is not None
        cells.append(f"{ratio_of(row)} ({harness.median(row.theirs_ms.wall):.3g} ms{'' if used else ', no'})")
    return tuple(cells)


def product_row(layer: tuple[int, ...], repeats: int) -> tuple[str, ...]:
    """The gradient in the kernel of one convolution without padding, as products and as XLA's convolution."""
    import jax

    from ganx.models import correlate

    n, stride, window, side, i, o = layer
    small = (side - window) // stride + 1
    x, y = (jax.random.normal(jax.random.key(0), (n, s, s, c)) for s, c in ((side, i), (small, o)))
    form = functools.partial(
        correlate._in_kernel, stride=stride, pads=((0, 0), (0, 0)), size=(side, side), window=(window, window)
    )
    with mock.patch.object(correlate, "_pointwise", return_value=False), mock.patch.object(correlate, "_MANY", 1 << 30):
        plain = side_of(lambda x, y: form(x, y), x, y)
    row = harness.measure("in kernel", n, side_of(form, x, y), plain, repeats)
    assert row.theirs_ms is not None
    name = f"{window} x {window}, stride {stride}, {side} x {side}, {i} to {o}, batch {n}"
    return name, ratio_of(row), f"{harness.median(row.theirs_ms.wall):.3g}"


def colour_row(layer: tuple[int, int, int, int], repeats: int) -> tuple[str, ...]:
    """A convolution of three channels, as one of four and as it is."""
    from ganx.models import correlate

    stride, side, i, o = layer
    x, _, kernel = arrays(*layer)
    form = functools.partial(correlate._correlate, stride=stride, pads=ONE, size=x.shape[1:3], window=kernel.shape[:2])
    with mock.patch.object(correlate, "_with_a_zero_channel", lambda a, axis: a):
        plain = side_of(lambda x, kernel: form(x, kernel), x, kernel)
    row = harness.measure("forward", BATCH, side_of(form, x, kernel), plain, repeats)
    assert row.theirs_ms is not None
    name = f"{kernel.shape[0]} x {kernel.shape[1]}, stride {stride}, {side} x {side}, {i} to {o}"
    return name, ratio_of(row), f"{harness.median(row.theirs_ms.wall):.3g}"


def ratio_of(row: harness.Row) -> str:
    """The other side's time over ours."""
    assert row.theirs_ms is not None
    return f"{harness.median(row.theirs_ms.wall) / harness.median(row.ours_ms.wall):.2f}"


def step_row(case: train_step.Case, args: argparse.Namespace) -> tuple[str, ...]:
    """A whole training step."""
    game, state, real = train_step.build(case, args)
    with without():
        plain = train_step.our_step(game, state, real, case.due)
    row = harness.measure(case.name, args.batch, train_step.our_step(game, state, real, case.due), plain, args.repeats)
    assert row.theirs_ms is not None
    times = harness.spread(row.ours_ms.wall), harness.spread(row.theirs_ms.wall)
    return (case.name, *times, ratio_of(row), f"{row.ours.compile_s:.1f}", f"{plain.compile_s:.1f}")


def main() -> None:
    args = harness.parser(__doc__.split("\n")[0]).parse_args()
    args.batch, args.resolution, args.full = BATCH, 64, False
    harness.prepare(args)
    print(f"{harness.environment(args)}\n\nbatch {BATCH}\n", flush=True)
    rows = [layer_row(layer, args.repeats) for layer in LAYERS]
    print(harness.table(("layer", "forward", "in x", "in kernel"), rows, args.markdown) + "\n", flush=True)
    rows = [product_row(layer, args.repeats) for layer in PRODUCTS]
    print(
        harness.table(("gradient in the kernel", "as products", "convolution ms"), rows, args.markdown) + "\n",
        flush=True,
    )
    rows = [colour_row(layer, args.repeats) for layer in COLOURS]
    print(harness.table(("forward", "as four channels", "as three, ms"), rows, args.markdown) + "\n", flush=True)
    steps = [step_row(case, args) for case in train_step.CASES if args.only in case.name]
    header = ("step", "with, ms", "without, ms", "without/with", "compile s with", "compile s without")
    print(harness.table(header, steps, args.markdown))


if __name__ == "__main__":
    main()
