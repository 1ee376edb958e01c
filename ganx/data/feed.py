"""What training eats: the same examples in the same order from three places.

    render    worlds: only indices travel, the step draws the images
    device    small sets: all images lie in device memory, only indices travel
    stream    the rest: uint8 batches, read ahead by threads

Order and position come from `ganx.data.order`, so a run that is resumed at step k, or on another number of hosts,
sees what it would have seen.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ganx.data.example import Example, Source, SourceSpec
from ganx.data.order import Order, local_rows, to_global
from ganx.data.resident import fits, load
from ganx.errors import GanxError, unknown

log = logging.getLogger("ganx")

RESIDENCIES = ("auto", "render", "device", "stream")
_FLIPS = 0x666C6970
"""Keeps the flips' random numbers apart from others made of the same seed."""


class Feed:
    """Batches of one source for one training run; make it with `open_feed`.

    Attributes:
      source: where the examples come from.
      residency: "render", "device" or "stream".
      per_epoch: examples in an epoch.
      constants: pytree of device arrays to pass to the jitted step beside the batch; () unless on the device.
      wait_seconds: how long `batch` has kept its caller waiting so far.
    """

    def __init__(
        self,
        source: Source,
        batch: int,
        seed: int,
        residency: str,
        mesh: Mesh | None,
        threads: int,
        flip: bool,
        masks: bool,
        labels: bool,
        process: tuple[int, int],
    ) -> None:
        self.source = source
        self.residency = residency
        self.per_epoch = len(source)
        self.wait_seconds = 0.0
        self._rows = local_rows(batch, mesh, process)
        self._batch, self._seed, self._mesh, self._flip, self._masks = batch, seed, mesh, flip, masks
        self._labels = labels
        self._order = Order(len(source), seed)
        self._readers = ThreadPoolExecutor(threads, "ganx-read") if residency == "stream" else None
        self._threads = threads
        self.constants = load(source, mesh, threads, masks) if residency == "device" else ()
        if labels and isinstance(self.constants, Example):
            _check_labels(source, self.constants)
        self._ahead = _Ahead(self._load)

    def batch(self, step: int) -> dict[str, Any]:
        """The global batch of train step `step`, counted from 0, for `materialise`.

        Returns:
          "index": int32 `[batch]`, each row's position in the run (modulo 2**31), and "example": its index in the
          source, int32 `[batch]`, or when streaming an `Example` of uint8 images. Global arrays sharded over the mesh.
          Batches are loaded ahead; a jump to another step starts there at once.
        """
        start = time.perf_counter()
        batch = self._ahead.get(step)
        self.wait_seconds += time.perf_counter() - start
        return batch

    def materialise(self, constants: Any, batch: dict[str, Any]) -> dict[str, Any]:
        """Images for a batch; pure, to be called inside the jitted step.

        Args:
          constants: `self.constants`, passed to the step as an argument.
          batch: what `batch` returned, or the same rows of each of its leaves.

        Returns:
          "image" float32 `[n, H, W, C]` in [-1, 1] (points of a plane as they are), "label" int32 `[n]`, "attrs"
          int32 `[n]` by name, "index" int32 `[n]`, the example's index in the source, and "mask" uint8
          `[n, H, W]` if asked for.
        """
        example = self._example(constants, batch["example"])
        out = {"label": example.label, "attrs": example.attrs, "index": example.index}
        out["image"] = to_float(example.image)
        if self._masks:
            out["mask"] = example.mask
        if self._flip:
            flips = flip_coins(self._seed, batch["index"])
            for name in ("image", "mask") if self._masks else ("image",):
                out[name] = flip(out[name], flips)
        return out

    def close(self) -> None:
        """Stops reading ahead. The feed cannot be used after it."""
        self._ahead.close()
        if self._readers:
            self._readers.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _example(self, constants: Any, example: Any) -> Example:
        if self.residency == "render":
            return self.source.render(example)  # type: ignore[attr-defined]  # worlds have it
        if self.residency == "device":
            return jax.tree.map(lambda leaf: leaf[example], constants)
        return example

    def _load(self, step: int) -> dict[str, Any]:
        positions = step * self._batch + self._rows
        indices = self._order[positions]
        local = {"index": (positions % 2**31).astype(np.int32), "example": self._gather(indices)}
        return to_global(local, self._mesh)

    def _gather(self, indices: np.ndarray) -> Any:
        if self._readers is None:
            return indices
        parts = list(self._readers.map(self.source.gather, np.array_split(indices, min(self._threads, len(indices)))))
        examples = parts[0] if len(parts) == 1 else jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        if self._labels:
            _check_labels(self.source, examples)
        return examples if self._masks else dataclasses.replace(examples, mask=None)


def open_feed(
    source: Source,
    batch: int,
    seed: int = 0,
    residency: str = "auto",
    mesh: Mesh | None = None,
    threads: int | None = None,
    on_error: str = "fail",
    flip: bool = False,
    masks: bool = False,
    labels: bool = False,
    process: tuple[int, int] | None = None,
) -> Feed:
    """Makes the feed of a training run.

    Args:
      source: from `ganx.data.open_source`.
      batch: global batch, all devices of all processes together.
      seed: of the order, and of the flips.
      residency: "render" (worlds), "device" (all images in device memory), "stream", or "auto": the first of
        these that the source allows and that fits into a quarter of the free device memory.
      mesh: the devices, on an axis `data`; None for plain arrays on the default device.
      threads: how many read and decode; by default one a core, at most 16.
      on_error: "fail", or "skip" to replace pictures that cannot be decoded, see `PreparedSource`.
      flip: mirror half of the images, which half is drawn anew every epoch.
      masks: bring the masks too.
      labels: refuse examples without a class label.
      process: (index, count) of this process; by default what JAX says.

    Raises:
      GanxError: for a batch that does not divide, a residency that the source does not allow, or data that do not fit.
    """
    if residency not in RESIDENCIES:
        raise unknown("residency", residency, RESIDENCIES)
    if on_error not in ("fail", "skip"):
        raise unknown("value for on_error", on_error, ("fail", "skip"))
    if on_error == "skip" and hasattr(source, "skipping"):
        source = source.skipping()
    if masks and not source.spec.masks:
        raise GanxError(f"{source.spec.name} has no masks; leave masks out")
    if labels and not source.spec.classes:
        raise no_classes(source.spec)
    if flip and len(source.spec.shape) != 3:
        raise GanxError(f"{source.spec.name} has points, not pictures, to flip; leave flip out")
    threads = threads or min(16, os.cpu_count() or 1)
    process = process or (jax.process_index(), jax.process_count())
    chosen = _choose(source, residency, mesh, masks)
    return Feed(source, batch, seed, chosen, mesh, threads, flip, masks, labels, process)


def to_float(images: jax.Array) -> jax.Array:
    """uint8 to float32 in [-1, 1]; floats as they are."""
    if images.dtype != jnp.uint8:
        return images.astype(jnp.float32)
    return (images.astype(jnp.float32) - 127.5) * (2 / 255)  # symmetric, so that 255 is exactly 1


def flip_coins(seed: int, index: jax.Array) -> jax.Array:
    """Whether each position of a run is mirrored: bool `[n]`, a function of the seed and the position alone."""
    key = jax.random.fold_in(jax.random.key(seed % 2**32), _FLIPS)
    return jax.vmap(lambda position: jax.random.bernoulli(jax.random.fold_in(key, position)))(index)


def flip(images: jax.Array, flips: jax.Array) -> jax.Array:
    """Mirrors the images `[n, H, W, …]` whose `flips`, bool `[n]`, is set."""
    return jnp.where(flips.reshape(-1, *[1] * (images.ndim - 1)), images[:, :, ::-1], images)


def no_classes(spec: SourceSpec) -> GanxError:
    """What to say of a source without class labels, of which some are needed."""
    if spec.attrs:
        known = ", ".join(name for name, values in spec.attrs.items() if len(values) > 1)
        return GanxError(f"{spec.name} has no class labels; choose an attribute with label=: {known}")
    return GanxError(f"{spec.name} has no class labels; use a source that has some, or set model.conditional to False")


def _check_labels(source: Source, examples: Example) -> None:
    label = np.asarray(examples.label)
    bad = (label < 0) | (label >= source.spec.classes)
    if bad.any():
        first = int(np.asarray(examples.index)[bad.argmax()])
        raise GanxError(
            f"example {first} of {source.spec.name} has no label among the {source.spec.classes} classes; "
            "label it, leave it out, or set model.conditional to False"
        )


def _choose(source: Source, residency: str, mesh: Mesh | None, masks: bool) -> str:
    if residency == "render" and not source.spec.rendered:
        raise GanxError(f"{source.spec.name} is no world, so it cannot be rendered; use residency=auto")
    if residency == "device" and not fits(source, mesh, masks, share=1.0):
        raise GanxError(f"{source.spec.name} does not fit into device memory; use residency=stream or a smaller size=")
    if residency != "auto":
        return residency
    if source.spec.rendered:
        return "render"
    return "device" if fits(source, mesh, masks) else "stream"


class _Ahead:
    """Keeps the next batches loading in one thread."""

    DEPTH = 2

    def __init__(self, load: Any) -> None:
        self._load = load
        self._worker = ThreadPoolExecutor(1, "ganx-feed")
        self._pending: dict[int, Future[Any]] = {}

    def get(self, step: int) -> Any:
        if step not in self._pending:
            self._forget()
            self._pending[step] = self._worker.submit(self._load, step)
        for later in range(step + 1, step + 1 + self.DEPTH):
            if later not in self._pending:
                self._pending[later] = self._worker.submit(self._load, later)
        return self._pending.pop(step).result()

    def close(self) -> None:
        self._forget()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _forget(self) -> None:
        for future in self._pending.values():
            future.cancel()
        self._pending.clear()
