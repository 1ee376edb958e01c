"""Images in, statistics and features out: one compiled program, batches shared over devices, read one batch late.

The last batch is filled up and masked, so counts are exact. Images are made from keys and indices that count samples
rather than batches, so no number depends on the batch size or on how many devices there are.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ganx.data import Source
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.metrics.features import FeatureNet
from ganx.metrics.moments import Moments, Sums, add, finish, start
from ganx.metrics.presets import Preset, to_uint8

Batches = Iterator[tuple[jax.Array, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Collected:
    """What is kept of a set of images.

    Attributes:
      moments: mean and covariance of the features.
      features: float32 `[n, d]` on the host; None unless asked for.
      logits: float32 `[n, classes]` on the host; None unless asked for.
    """

    moments: Moments
    features: np.ndarray | None = None
    logits: np.ndarray | None = None


def check_source(source: Source, count: int) -> None:
    """Refuses a source that has fewer pictures than are asked for, or none at all."""
    if count > len(source):
        raise GanxError(f"{source.spec.name} has {len(source)} images, fewer than {count}; ask for fewer")
    if len(source.spec.shape) != 3:
        raise GanxError(f"{source.spec.name} has points, not pictures; use ganx.metrics.mode_coverage")


def source_batches(source: Source, count: int, batch: int, mesh: Mesh | None = None) -> Batches:
    """The first `count` images of a source: uint8 `[batch, H, W, C]` and, each time, which rows count."""
    check_source(source, count)
    for rows, mask in _windows(count, batch):
        images = source.gather(rows).image
        yield (jax.device_put(images, _split(mesh)) if mesh else jnp.asarray(images)), mask


def gan_batches(gan: Gan, count: int, batch: int, seed: int, mesh: Mesh | None = None, how: str = "ada") -> Batches:
    """`count` images of a GAN as uint8: sample i depends on the seed and on i alone. `how` as for `to_uint8`."""
    draw = jax.jit(_draw, static_argnames="how")
    gan = jax.device_put(gan, NamedSharding(mesh, PartitionSpec())) if mesh else gan
    for rows, mask in _windows(count, batch):
        index = np.asarray(rows, np.int32)
        yield draw(gan, seed, jax.device_put(index, _split(mesh)) if mesh else jnp.asarray(index), how=how), mask


def sample(gan: Gan, seed: jax.Array | int, index: jax.Array) -> tuple[jax.Array, jax.Array | None]:
    """Latents and labels of the samples at `index`, int32 `[n]`; each a function of the seed and its index alone."""
    base = jax.random.key(seed)
    keys = jax.vmap(lambda i: jax.random.fold_in(base, i))(index)
    z = jax.vmap(lambda key: gan.latents(jax.random.clone(key), 1)[0])(keys)
    if not gan.spec.classes:
        return z, None

    def label(key: jax.Array) -> jax.Array:
        drawn = gan.labels(key, 1)
        assert drawn is not None
        return drawn[0]

    return z, jax.vmap(label)(keys)


def collect(
    batches: Batches, net: FeatureNet, preset: Preset, *, features: bool = False, logits: bool = False
) -> Collected:
    """Runs images through a network; features and logits are kept only where asked for.

    Args:
      batches: uint8 `[n, H, W, C]` and a mask, bool `[n]`, each time; see `source_batches` and `gan_batches`.

    Raises:
      GanxError: fewer than two images, or the network has no logits.
    """
    if logits and not net.logits:
        raise GanxError(f"the network {net.name!r} has no logits for an Inception score; use --net inception")
    run = jax.jit(lambda variables, images: _outputs(net, variables, images, preset, logits))
    variables, rows, classes = net.variables, _Late(), _Late()
    sums: Sums | None = None
    for images, mask in batches:
        if isinstance(images.sharding, NamedSharding):
            variables = jax.device_put(variables, NamedSharding(images.sharding.mesh, PartitionSpec()))
        found = run(variables, images)
        keep = jnp.asarray(mask)
        if sums is None:
            sums = start(found[0].mean(0, where=keep[:, None]))
        sums = add(sums, found[0], keep)
        if features:
            rows.push(found[0], mask)
        if logits:
            classes.push(found[1], mask)
    if sums is None:
        raise GanxError("statistics need two images or more, not 0")
    return Collected(finish(sums, preset.ddof), rows.all(), classes.all())


def content_hash(source: Source, count: int, batch: int = 256) -> str:
    """sha256 over the pixels of the first `count` images: what a cached reference is known by."""
    digest = hashlib.sha256(str((count, source.spec.shape)).encode())
    for rows, mask in _windows(count, batch):
        digest.update(np.ascontiguousarray(np.asarray(source.gather(rows).image)[mask]).tobytes())
    return digest.hexdigest()


def _outputs(net: FeatureNet, variables: Any, images: jax.Array, preset: Preset, logits: bool) -> tuple[jax.Array, ...]:
    found = net.apply(variables, images, preset)
    return (found[net.layer], found[net.logits]) if logits else (found[net.layer],)


def _draw(gan: Gan, seed: jax.Array, index: jax.Array, how: str) -> jax.Array:
    z, label = sample(gan, seed, index)
    return to_uint8(gan(z, label=label), how)


def _windows(count: int, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices of one batch after the other, the last filled up with the last image, and which rows count."""
    for first in range(0, count, batch):
        rows = np.arange(first, first + batch)
        yield np.minimum(rows, count - 1), rows < count


def _split(mesh: Mesh | None) -> NamedSharding | None:
    return None if mesh is None else NamedSharding(mesh, PartitionSpec("data"))


class _Late:
    """Copies arrays to the host one batch after they were queued, so that the device is never waited for."""

    def __init__(self) -> None:
        self._waiting: tuple[jax.Array, np.ndarray] | None = None
        self._parts: list[np.ndarray] = []

    def push(self, rows: jax.Array, mask: np.ndarray) -> None:
        rows.copy_to_host_async()
        self._settle()
        self._waiting = rows, mask

    def all(self) -> np.ndarray | None:
        self._settle()
        return np.concatenate(self._parts) if self._parts else None

    def _settle(self) -> None:
        if self._waiting is not None:
            rows, mask = self._waiting
            self._parts.append(np.asarray(rows)[mask])
            self._waiting = None
