"""What every benchmark here uses: ours and PyTorch's in one process, by turns, compile time apart.

Call `prepare` before anything imports jax or torch: it decides devices, threads and the core to run on.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

# Dense peaks by datasheet, in TFLOP/s, for float32 convolutions and products as TF32.
TF32_PEAKS = {"A100": 156.0, "H100": 494.5, "H200": 494.5, "L4": 60.0, "RTX 4090": 82.6, "RTX 3090": 35.6}


def parser(description: str) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where both sides run")
    options.add_argument("--pin", type=int, metavar="CORE", help="run on this core, one thread a side (CPU only)")
    options.add_argument(
        "--repeats", type=int, choices=range(2, 101), default=9, metavar="N", help="timed runs of a side"
    )
    options.add_argument("--no-tf32", action="store_true", help="full float32 on both sides (GPU)")
    options.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options.add_argument("--only", default="", help="run only the rows whose name contains this")
    return options


def prepare(args: argparse.Namespace) -> None:
    """Fixes backend, core and threads of this process. Both sides get one thread where a core is pinned."""
    os.environ["JAX_PLATFORMS"] = "cpu" if args.device == "cpu" else "cuda"
    if args.pin is not None:
        os.sched_setaffinity(0, {args.pin})
        os.environ["OMP_NUM_THREADS"] = "1"
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    import torch
    from memory import keep_freed_memory

    keep_freed_memory()  # for both sides: neither pays for pages given back and mapped again
    import jax

    if args.pin is not None:
        torch.set_num_threads(1)
    jax.config.update("jax_default_matmul_precision", "highest" if args.no_tf32 else "default")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not args.no_tf32
    torch.backends.cudnn.benchmark = True


def environment(args: argparse.Namespace) -> str:
    """One line that says what ran where, and under which settings."""
    import jax
    import jaxlib
    import torch

    threads = f"1 thread pinned to core {args.pin}" if args.pin is not None else f"{torch.get_num_threads()} threads"
    cudnn, matmul = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    where = _cpu_name() if args.device == "cpu" else f"{jax.devices()[0].device_kind}, tf32 {not args.no_tf32}"
    return (
        f"{where}; {threads}; Python {platform.python_version()}, jax {jax.__version__}, jaxlib {jaxlib.__version__}, "
        f"torch {torch.__version__} (cudnn.allow_tf32={cudnn}, cuda.matmul.allow_tf32={matmul})"
    )


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@dataclasses.dataclass
class Side:
    """One contestant. `run` does the work once and returns only when it is done; `gflop` is what it computes."""

    run: Callable[[], None]
    compile_s: float
    gflop: float


@dataclasses.dataclass
class Times:
    """Milliseconds of each run: on the clock, and of processor time (which a busy machine inflates less)."""

    wall: list[float]
    cpu: list[float]


@dataclasses.dataclass
class Row:
    """A compared pair; without `theirs`, a measurement of ours alone."""

    name: str
    images: int
    ours: Side
    ours_ms: Times
    theirs: Side | None = None
    theirs_ms: Times | None = None


def measure(name: str, images: int, ours: Side, theirs: Side | None, repeats: int) -> Row:
    """Runs both sides by turns, `repeats` times each after one untimed run of each."""
    sides = [side for side in (ours, theirs) if side is not None]
    times = [Times([], []) for _ in sides]
    for side in sides:
        side.run()
    for _ in range(repeats):
        for side, into in zip(sides, times, strict=True):
            cpu, wall = time.process_time(), time.perf_counter()
            side.run()
            into.wall.append((time.perf_counter() - wall) * 1e3)
            into.cpu.append((time.process_time() - cpu) * 1e3)
    return Row(name, images, ours, times[0], theirs, times[1] if theirs else None)


def compile_jax(fn: Any, *args: Any) -> tuple[Any, float, float]:
    """The compiled program of a jitted function, seconds it took, and its GFLOP by the compiler's count."""
    began = time.perf_counter()
    program = fn.lower(*args).compile()
    seconds = time.perf_counter() - began
    return program, seconds, (program.cost_analysis() or {}).get("flops", 0.0) / 1e9


def torch_side(step: Callable[[], Any], device: str, compile_parts: Callable[[], None] | None = None) -> Side:
    """PyTorch's step as a side: one run to count its FLOPs, one to warm up.

    On a GPU it is compiled in between: by `compile_parts`, which is to change what `step` calls, or as a whole.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    began = time.perf_counter()
    call = step
    if device == "gpu":
        torch._dynamo.reset()  # or the rows before this one count towards the limit past which it stops compiling
        torch._dynamo.config.recompile_limit = 64
    if device == "gpu" and compile_parts:
        compile_parts()
    elif device == "gpu":
        call = torch.compile(step)

    def run() -> None:
        call()
        if device == "gpu":
            torch.cuda.synchronize()

    run()
    return Side(run, time.perf_counter() - began if device == "gpu" else 0.0, counter.get_total_flops() / 1e9)


def peak_gflops(device: str) -> tuple[float, str]:
    """Attainable GFLOP/s and where the number comes from: measured on CPU, the datasheet's on a GPU."""
    import jax
    import torch

    if device == "gpu":
        kind = jax.devices()[0].device_kind
        found = next((peak for name, peak in TF32_PEAKS.items() if name in kind), None)
        return (found * 1e3, f"TF32 dense, datasheet of {kind}") if found else (float("nan"), f"unknown for {kind}")
    n = 2048
    a = jax.numpy.ones((n, n))
    b = torch.ones((n, n))
    product = jax.jit(lambda a: a @ a)
    best = min(_best(lambda: jax.block_until_ready(product(a))), _best(lambda: b @ b))
    return 2 * n**3 / best / 1e9, f"best of jax's and torch's {n}³ product in this run"


def _best(run: Callable[[], Any], repeats: int = 5) -> float:
    run()
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        seconds.append(time.process_time() - began)
    return min(seconds)


HEADER = (
    "step",
    "ours ms",
    "PyTorch ms",
    "PyTorch/ours",
    "paired range",
    "by CPU time",
    "ours img/s",
    "compile s",
    "GFLOP ours/theirs",
    "utilisation ours/theirs",
)


def cells(row: Row, peak: float, device: str) -> tuple[str, ...]:
    """One row of the table, numbers as text. The ratio is of medians; its range is over the quartiles of pairs."""
    mine = spread(row.ours_ms.wall)
    rate = row.images / median(row.ours_ms.wall) * 1e3
    busy = row.ours_ms.cpu if device == "cpu" else row.ours_ms.wall
    use = f"{row.ours.gflop / median(busy) * 1e3 / peak:.0%}"
    if row.theirs is None or row.theirs_ms is None:
        return (
            row.name,
            mine,
            "",
            "",
            "",
            "",
            f"{rate:.1f}",
            f"{row.ours.compile_s:.1f}",
            f"{row.ours.gflop:.1f}",
            use,
        )
    pairs = [theirs / ours for ours, theirs in zip(row.ours_ms.wall, row.theirs_ms.wall, strict=True)]
    low, _, high = statistics.quantiles(pairs, n=4)
    ratio = median(row.theirs_ms.wall) / median(row.ours_ms.wall)
    by_cpu = median(row.theirs_ms.cpu) / median(row.ours_ms.cpu)
    theirs_busy = row.theirs_ms.cpu if device == "cpu" else row.theirs_ms.wall
    theirs_use = f"{row.theirs.gflop / median(theirs_busy) * 1e3 / peak:.0%}"
    compiles = f"{row.ours.compile_s:.1f}" + (f" / {row.theirs.compile_s:.1f}" if device == "gpu" else "")
    return (
        *(row.name, mine, spread(row.theirs_ms.wall), f"{ratio:.2f}", f"{low:.2f}–{high:.2f}"),
        *(f"{by_cpu:.2f}" if device == "cpu" else "", f"{rate:.1f}", compiles),
        *(f"{row.ours.gflop:.1f} / {row.theirs.gflop:.1f}", f"{use} / {theirs_use}"),
    )


def median(values: Sequence[float]) -> float:
    """Middle value."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """ "median (lower quartile–upper quartile)"."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.3g} ({low:.3g}–{high:.3g})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> str:
    """Aligned columns, or a Markdown table."""
    if markdown:
        lines = [header, ["---"] * len(header), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) for line in (header, *rows))
