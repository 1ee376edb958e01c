"""What minimal filtering (`ganx.models.winograd`), phases (`ganx.models.strided`) and plain products save on CPU: by
layer, and in the training step.

    python scripts/bench/filtering.py --device cpu --pin 1

A ratio above 1 means that ganx's form is faster than XLA's convolution, whose time stands beside it; "no" means that
ganx does not use it there.
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
NONE = ((0, 0), (0, 0))
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
# samples, side of the larger map, channels in and out: 3 x 3 of stride two without padding
STRIDED = (
    (16, 65, 64, 64),
    (16, 33, 64, 64),
    (16, 33, 128, 128),
    (16, 17, 256, 256),
    (2, 65, 512, 512),
    (2, 33, 512, 512),
)
# side of the map, channels in and out: 1 x 1
POINTWISE = ((64, 64, 64), (16, 512, 512))
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
    from ganx.models import correlate, strided, winograd

    with (
        mock.patch.object(winograd, "serves", return_value=False),
        mock.patch.object(strided, "serves", return_value=False),
        mock.patch.object(correlate, "_pointwise", return_value=False),
    ):
        yield


def side_of(function: Callable[..., Any], *args: Any) -> harness.Side:
    import jax

    program, seconds, gflop = harness.compile_jax(jax.jit(function), *args)
    return harness.Side(lambda: jax.block_until_ready(program(*args)), seconds, gflop)


def layer_row(layer: tuple[int, int, int, int], repeats: int) -> tuple[str, ...]:
    """The three operations of one layer, by minimal filtering."""
    from ganx.models import winograd

    stride, side, i, o = layer
    x, y, kernel = arrays(*layer)
    ours = {
        "forward": functools.partial(winograd.forward, stride=stride),
        "in_x": functools.partial(winograd.in_x, stride=stride),
        "in_kernel": functools.partial(winograd.in_kernel, stride=stride),
    }
    window, size = kernel.shape[:2], x.shape[1:3]
    used = {name: winograd.serves(name, stride, ONE, window, size, i, o, BATCH) for name in ours}
    name = f"{window[0]} x {window[1]}, stride {stride}, {side} x {side}, {i} to {o}"
    return name, *cells(ours, used, (x, y, kernel), stride, ONE, repeats)


def strided_row(layer: tuple[int, int, int, int], repeats: int) -> tuple[str, ...]:
    """The three operations of one layer, by phases."""
    import jax

    from ganx.models import strided

    n, side, i, o = layer
    window, size, small = (3, 3), (side, side), (side - 3) // 2 + 1
    shapes = ((n, side, side, i), (n, small, small, o), (3, 3, i, o))
    x, y, kernel = (jax.random.normal(jax.random.key(0), shape) for shape in shapes)
    ours = {
        "forward": functools.partial(strided.forward, pads=NONE),
        "in_x": functools.partial(strided.in_x, pads=NONE, size=size),
        "in_kernel": functools.partial(strided.in_kernel, pads=NONE, window=window),
    }
    used = {name: strided.serves(name, 2, window, size, i, o) for name in ours}
    return f"{side} x {side}, {i} to {o}, batch {n}", *cells(ours, used, (x, y, kernel), 2, NONE, repeats)


def cells(
    ours: dict[str, Callable[..., Any]],
    used: dict[str, bool],
    data: tuple[Any, Any, Any],
    stride: int,
    pads: Any,
    repeats: int,
) -> list[str]:
    """Each operation's ratio to XLA's convolution and the latter's time."""
    from ganx.models import correlate

    x, y, kernel = data
    static = {"stride": stride, "pads": pads, "size": x.shape[1:3], "window": kernel.shape[:2]}
    theirs = {
        "forward": (correlate._correlate, (x, kernel)),
        "in_x": (correlate._in_x, (y, kernel)),
        "in_kernel": (correlate._in_kernel, (x, y)),
    }
    texts = []
    for name, (function, args) in theirs.items():
        with without():
            plain = side_of(functools.partial(function, **static), *args)
        row = harness.measure(name, len(x), side_of(ours[name], *args), plain, repeats)
        assert row.theirs_ms is not None
        texts.append(f"{ratio_of(row)} ({harness.median(row.theirs_ms.wall):.3g} ms{'' if used[name] else ', no'})")
    return texts


def pointwise_row(layer: tuple[int, int, int], repeats: int) -> tuple[str, ...]:
    """The gradient in the kernel of a 1 x 1 convolution, as a product and as XLA's convolution."""
    import jax

    from ganx.models import correlate

    side, i, o = layer
    x, y = (jax.random.normal(jax.random.key(0), (BATCH, side, side, c)) for c in (i, o))
    form = functools.partial(correlate._in_kernel, stride=1, pads=NONE, size=(side, side), window=(1, 1))
    with without():
        plain = side_of(lambda x, y: form(x, y), x, y)
    row = harness.measure("in kernel", BATCH, side_of(form, x, y), plain, repeats)
    assert row.theirs_ms is not None
    return f"{side} x {side}, {i} to {o}", ratio_of(row), f"{harness.median(row.theirs_ms.wall):.3g}"


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
    three = ("forward", "in x", "in kernel")
    tables: tuple[tuple[tuple[str, ...], Callable[..., tuple[str, ...]], tuple[Any, ...]], ...] = (
        (("layer", *three), layer_row, LAYERS),
        (("3 x 3, stride 2", *three), strided_row, STRIDED),
        (("1 x 1, gradient in the kernel", "as a product", "convolution ms"), pointwise_row, POINTWISE),
        (("forward", "as four channels", "as three, ms"), colour_row, COLOURS),
    )
    for header, row, layers in tables:
        rows = [row(layer, args.repeats) for layer in layers]
        print(harness.table(header, rows, args.markdown) + "\n", flush=True)
    steps = [step_row(case, args) for case in train_step.CASES if args.only in case.name]
    header = ("step", "with, ms", "without, ms", "without/with", "compile s with", "compile s without")
    print(harness.table(header, steps, args.markdown))


if __name__ == "__main__":
    main()
