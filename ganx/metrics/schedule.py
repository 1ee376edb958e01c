"""Scores during training: a Fréchet distance every so many steps, while the device goes on with the next step.

Sampling, features and their sums are queued on the device like any other work and nothing is waited for; the last
float64 step runs in a thread, and the number is told when it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ganx.data import Source
from ganx.errors import GanxError
from ganx.metrics.collect import collect, source_batches
from ganx.metrics.features import FeatureNet
from ganx.metrics.frechet import frechet
from ganx.metrics.moments import Moments, Sums, add, finish, start
from ganx.metrics.presets import Preset, preset, to_uint8

Sink = Callable[[int, Mapping[str, float]], None]
Sample = Callable[[Any, jax.Array, int], jax.Array]


class Schedule:
    """`schedule(state, step)` queues one evaluation; finished ones go to the sink on a later call, or on `flush`.

    Args:
      sample: `(state, key, n) -> images` float32 in [-1, 1]; pure, such as a training method's.
      source: real images.
      net: a feature network; the score is told under its name for the distance, such as "FD-faces".
      images: how many of either kind.
      sink: `(step, {name: value})`, called in the caller's thread.
      batch: images at a time; with a mesh a multiple of its size.
      seed: the same latents every time, so that scores of one run compare.
    """

    def __init__(
        self,
        sample: Sample,
        source: Source,
        net: FeatureNet,
        sink: Sink,
        *,
        images: int = 2048,
        batch: int = 64,
        seed: int = 0,
        how: Preset | str = "tf",
        mesh: Mesh | None = None,
    ):
        how = preset(how) if isinstance(how, str) else how
        images = min(images, len(source))
        if images < 2 or (mesh is not None and batch % mesh.size):
            raise GanxError(
                f"scores need two images or more in batches that the devices can share, not {images}/{batch}"
            )
        self._net, self._sink, self._images, self._batch, self._how = net, sink, images, batch, how
        self._key = jax.random.key(seed)
        self._real = collect(source_batches(source, images, batch, mesh), net, how).moments
        self._step = jax.jit(self._one(sample), out_shardings=_replicated(mesh), donate_argnums=0)
        self._variables = net.variables if mesh is None else jax.device_put(net.variables, _replicated(mesh))
        self._shift = jnp.asarray(self._real.mean, jnp.float32)
        self._mesh = mesh
        self._worker = ThreadPoolExecutor(1, "ganx-metrics")
        self._pending: list[tuple[int, Future[float]]] = []

    def __call__(self, state: Any, step: int) -> None:
        """Queues an evaluation of `state`, which may be given away afterwards."""
        self._tell(wait=False)
        sums = start(self._shift)
        sums = sums if self._mesh is None else jax.device_put(sums, _replicated(self._mesh))
        for i in range(0, self._images, self._batch):
            sums = self._step(sums, state, self._variables, jax.random.fold_in(self._key, i), self._images - i)
        self._pending.append((step, self._worker.submit(_distance, sums, self._real, self._how.ddof)))

    def flush(self) -> None:
        """Tells all that is queued; waits for it."""
        self._tell(wait=True)

    def close(self) -> None:
        """Tells all that is queued and ends the thread."""
        self.flush()
        self._worker.shutdown()

    def _tell(self, wait: bool) -> None:
        while self._pending and (wait or self._pending[0][1].done()):
            step, found = self._pending.pop(0)
            self._sink(step, {self._net.frechet: found.result()})

    def _one(self, sample: Sample) -> Callable[..., Sums]:
        net, how, batch = self._net, self._how, self._batch

        def one(sums: Sums, state: Any, variables: Any, key: jax.Array, left: jax.Array) -> Sums:
            images = to_uint8(sample(state, key, batch))
            features = net.apply(variables, images, how)[net.layer]
            return add(sums, features, jnp.arange(batch) < left)

        return one


def _distance(sums: Sums, real: Moments, ddof: int) -> float:
    return frechet(real, finish(sums, ddof)).value


def _replicated(mesh: Mesh | None) -> NamedSharding | None:
    return None if mesh is None else NamedSharding(mesh, PartitionSpec())
