"""What a run leaves to be read: metrics as JSON lines and TensorBoard, sample sheets, one line of progress."""

from __future__ import annotations

import io
import json
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

import jax
import numpy as np
from etils import epath
from tqdm import tqdm

from ganx.pictures import png, sheet, to_uint8

_SHOWN = ("loss_d", "loss_g", "r1", "gp", "path_length")
Sink = Callable[[int, Mapping[str, float]], None]


class LateMetrics:
    """Reads metrics one call after they were queued, so that the host never waits for the step just sent."""

    def __init__(self, sink: Sink, lag: int = 1):
        self._sink, self._lag, self._newest = sink, lag, -1
        self._queue: deque[tuple[int, Mapping[str, jax.Array]]] = deque()

    def push(self, step: int, metrics: Mapping[str, jax.Array]) -> None:
        """Queues the metrics of a step, once, and reads those that are due."""
        if step == self._newest:
            return
        self._newest = step
        jax.tree.map(lambda a: a.copy_to_host_async(), metrics)
        self._queue.append((step, metrics))
        while len(self._queue) > self._lag:
            self._pop()

    def flush(self) -> None:
        """Reads all that is queued; waits for the device."""
        while self._queue:
            self._pop()

    def _pop(self) -> None:
        step, metrics = self._queue.popleft()
        self._sink(step, {k: float(v) for k, v in jax.device_get(metrics).items()})


class Journal:
    """`metrics.jsonl`, TensorBoard events and sample sheets in a run's folder. Silent when `writes` is false."""

    def __init__(self, workdir: epath.Path, writes: bool):
        self._workdir, self._writes = workdir, writes
        if writes:
            from tensorboardX import SummaryWriter

            self._board = SummaryWriter(os.fspath(workdir / "tensorboard"))
            self._path = workdir / "metrics.jsonl"
            self._lines: TextIO = _appending(self._path)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one record."""
        if self._writes:
            self._lines.write(json.dumps({"step": step, **values}) + "\n")
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def images(self, name: str, step: int, images: np.ndarray) -> None:
        """Writes `[n, H, W, C]` in [-1, 1] as `samples/NAME-STEP.png` and to TensorBoard."""
        if not self._writes:
            return
        picture = sheet(_grid(to_uint8(images)))
        (self._workdir / "samples").mkdir(exist_ok=True)
        (self._workdir / "samples" / f"{name}-{step:07d}.png").write_bytes(png(picture))
        self._board.add_image(name, picture, step, dataformats="HWC")
        self._upload()

    def close(self) -> None:
        """Flushes and closes the files."""
        if self._writes:
            self._upload()
            self._lines.close()
            self._board.close()

    def _upload(self) -> None:
        if isinstance(self._lines, io.StringIO):
            self._path.write_text(self._lines.getvalue())


class Progress:
    """One live line on a terminal; elsewhere a plain one, soon, then every `quiet_seconds`. Both say what is left."""

    def __init__(self, start: int, total: int, batch: int, shows: bool, quiet_seconds: float = 30.0):
        self._total, self._batch, self._shows, self._every = total, batch, shows, quiet_seconds
        self._start, self._began, self._spoke = start, math.nan, time.monotonic()
        self._losses = ""
        self._live = sys.stderr.isatty() and shows
        self._bar = tqdm(total=total, initial=start, unit="step", disable=not self._live, leave=True)

    def speed(self, step: int) -> dict[str, float]:
        """Throughput since the first step was done, compiling apart: images a second, seconds a thousand images."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        images = max(step - self._start, 1) * self._batch
        return {"images_per_s": images / seconds, "s_per_kimg": 1000 * seconds / images}

    def update(self, step: int) -> None:
        """Moves on to `step`."""
        if math.isnan(self._began):  # the first step included compiling
            self._start, self._began = step, time.monotonic()
            self._spoke = self._began + 5.0 - self._every
        if self._live:
            self._bar.update(step - self._bar.n)
        elif self._shows and time.monotonic() - self._spoke >= self._every:
            self._spoke = time.monotonic()
            left = (self._total - step) * (self._spoke - self._began) / max(step - self._start, 1)
            rate = self.speed(step)["images_per_s"]
            say(f"step {step}/{self._total}  {rate:.0f} images/s  {self._losses}  {duration(left)} left")

    def excuse(self, seconds: float) -> None:
        """Takes time that went into compiling out of the count."""
        self._began += seconds
        self._spoke += seconds

    def show(self, values: Mapping[str, float]) -> None:
        """Takes note of the main losses, for the next line."""
        self._losses = "  ".join(f"{k} {v:.3f}" for k, v in values.items() if k in _SHOWN)
        self._bar.set_postfix_str(self._losses, refresh=False)

    def close(self) -> None:
        """Ends the live line."""
        self._bar.close()


def say(text: str) -> None:
    """One line to the user, kept apart from a live progress line; results go to standard output, this does not."""
    tqdm.write(text, file=sys.stderr)


def duration(seconds: float) -> str:
    """A time as a person says it: "42 s", "3 min 20 s", "5 h 10 min", "2 days"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    if seconds < 172800:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
    return f"{seconds / 86400:.0f} days"


def _appending(path: epath.Path) -> TextIO:
    """A file to append lines to. A bucket's cannot be appended to: it is read once and written again as a whole."""
    if "://" not in str(path):
        return Path(path).open("a", buffering=1)
    lines = io.StringIO()
    if path.exists():
        lines.write(path.read_text())
    return lines


def _grid(images: np.ndarray) -> np.ndarray:
    """`[n, ...]` as a nearly square `[rows, columns, ...]`, the last row filled up with white."""
    columns = math.ceil(math.sqrt(len(images)))
    missing = -len(images) % columns
    filled = np.concatenate([images, np.full((missing, *images.shape[1:]), 255, images.dtype)])
    return filled.reshape(-1, columns, *images.shape[1:])
