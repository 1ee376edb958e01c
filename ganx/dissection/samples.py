"""What a dissection looks at: features of one stage beside the labels of the image that they become.

Sample i depends on the key and on i alone, never on the batch or the number of devices. Everything can be read again:
what fits is kept, the rest is generated anew.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError
from ganx.gan import Activation, Gan
from ganx.segment import Segmenter, channels, checked
from ganx.training.mesh import batched, make_mesh

KEEP = 2**30
"""Bytes of features and labels that are kept between passes."""


class Known:
    """Labels of samples that were segmented before, so that many layers, edits and units reuse one pass.

    Attributes:
      room: bytes that may still be kept; what does not fit is segmented again.
    """

    def __init__(self, room: int = KEEP) -> None:
        self.room = room
        self._labels: dict[tuple[Any, ...], np.ndarray] = {}

    def get(self, tag: tuple[Any, ...]) -> np.ndarray | None:
        """int32 `[n, K, H, W]`, or None."""
        found = self._labels.get(tag)
        return None if found is None else found.astype(np.int32)

    def add(self, tag: tuple[Any, ...], labels: np.ndarray) -> None:
        """Keeps labels `[n, K, H, W]`, in as few bytes as hold them."""
        kind = np.min_scalar_type(int(labels.max(initial=0)))
        if labels.size * kind.itemsize <= self.room:
            self._labels[tag] = labels.astype(kind)
            self.room -= self._labels[tag].nbytes


class Batch(NamedTuple):
    """Some samples: `index` int64 `[n]`, features float32 `[n, h, w, U]`, labels int32 `[n, K, H, W]`."""

    index: np.ndarray  # type: ignore[assignment]
    features: Any
    labels: np.ndarray


def check_stage(gan: Gan, stage: str) -> tuple[int, int, int]:
    """Height, width and units of a stage, or a `GanxError` if it has no feature maps."""
    gan._position(stage)
    shape = gan.shapes[stage]
    if len(shape) != 3 or stage == gan.stages[-1]:
        maps = [name for name in gan.stages[:-1] if len(gan.shapes[name]) == 3]
        raise GanxError(f"{stage!r} has no feature maps to dissect; choose from: {', '.join(maps)}")
    return shape


def official_latents(size: int, depth: int, seed: int) -> np.ndarray:
    """The latents of the authors' tools, float32 `[size, depth]`; seed 1 is their dissection set."""
    return np.random.RandomState(seed).standard_normal(size * depth).reshape(size, depth).astype(np.float32)


def latents(gan: Gan, key: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array | None]:
    """Latents and classes of the samples `index`, int32 `[n]`; traceable."""

    def one(i: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        own = jax.random.fold_in(key, i)
        label = gan.labels(own, 1)
        return gan.latents(own, 1)[0], None if label is None else label[0]

    return jax.vmap(one)(index)


def activations(gan: Gan, stage: str, z: jax.Array, label: jax.Array | None) -> tuple[Activation, jax.Array]:
    """The cut at a stage, and the images that come of it."""
    act = gan.until(stage, z, label=label)
    return act, gan.since(stage, act)


class Samples:
    """`n` samples, in batches of one size.

    Args:
      gan, stage, segmenter: what is looked at.
      key: key of the latents.
      n: how many samples.
      batch: how many go through together; the last ones are filled up and cut again. A multiple of the devices.
      z, label: latents `[n, *latent]` to be used instead of drawn ones, and their classes.
      keep: bytes that may be kept between passes.
      devices: over which each batch is split; all by default.
      mix: `[k, U]`, makes k maps of those of the units, which then stand for units; none by default.
      known: labels that other samples of this GAN and segmenter have found; shared, and added to.
    """

    def __init__(
        self,
        gan: Gan,
        stage: str,
        segmenter: Segmenter,
        key: jax.Array,
        n: int,
        batch: int = 32,
        z: Any = None,
        label: Any = None,
        keep: int = KEEP,
        devices: Any = None,
        mix: Any = None,
        known: Known | None = None,
    ) -> None:
        check_stage(gan, stage)
        if n < 1:
            raise GanxError(f"the number of images is a whole number from 1 up, not {n}")
        self.gan, self.stage, self.segmenter, self.key, self.n = gan, stage, segmenter, key, n
        mesh = make_mesh(devices) if devices is not None and len(devices) > 1 else None
        self.sharding = None if mesh is None else batched(mesh)
        size = 1 if mesh is None else mesh.size
        self.batch = -(-min(batch, n) // size) * size
        self.z = None if z is None else np.asarray(z, np.float32)
        self.label = None if label is None else np.asarray(label)
        self.mix = None if mix is None else jnp.asarray(mix, jnp.float32)
        self.keep, self._kept = keep, dict[int, Batch]()
        self._room = keep
        self._known = Known(0) if known is None or z is not None else known
        self._tag = (jax.random.key_data(key).tobytes(), self.batch, n)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, self.n, self.batch):
            yield self._kept[start] if start in self._kept else self._make(start)

    def labelled(self, wanted: Any) -> Iterator[Batch]:
        """The batches that hold the samples `wanted`, cut down to them."""
        wanted = np.unique(np.asarray(wanted))
        for start in range(0, self.n, self.batch):
            inside = wanted[(wanted >= start) & (wanted < start + self.batch)] - start
            if len(inside):
                found = self._kept[start] if start in self._kept else self._make(start)
                yield Batch(found.index[inside], np.asarray(found.features)[inside], found.labels[inside])

    def latents(self, index: Any) -> tuple[jax.Array, jax.Array | None]:
        """Latents and classes of some samples."""
        if self.z is None:
            return _latents(self.gan, self.key, jnp.asarray(index, jnp.int32))
        chosen = None if self.label is None else jnp.asarray(self.label[index])
        return jnp.asarray(self.z[index]), chosen

    def _make(self, start: int) -> Batch:
        index = np.arange(start, start + self.batch)
        z, label = self.latents(np.minimum(index, self.n - 1))
        if self.sharding is not None:
            z, label = jax.device_put((z, label), self.sharding)
        features, labels = self._look((*self._tag, start), z, label)
        if self.mix is not None:
            features = jnp.einsum("nhwu,ku->nhwk", features, self.mix, precision="highest")
        count = min(self.batch, self.n - start)
        batch = Batch(index[:count], features[:count], labels[:count])
        size = features.nbytes + batch.labels.nbytes
        if size <= self._room:
            self._room -= size
            self._kept[start] = batch._replace(features=np.asarray(batch.features))
        return batch

    def _look(self, tag: tuple[Any, ...], z: jax.Array, label: jax.Array | None) -> tuple[Any, np.ndarray]:
        """Features and labels of one batch; only the stages up to the cut run where the labels are known."""
        if (known := self._known.get(tag)) is not None:
            return _features(self.gan, self.stage, z, label), known
        features, labels = look(self.gan, self.stage, self.segmenter, z, label)
        labels = checked(labels, self.segmenter, self.batch)
        self._known.add(tag, labels)
        return features, labels


def look(gan: Gan, stage: str, segmenter: Segmenter, z: jax.Array, label: jax.Array | None) -> tuple[Any, Any]:
    """Features float32 `[n, h, w, U]` and labels `[n, K, H, W]`, in one program where the segmenter allows."""
    if segmenter.on_device:
        return _look(gan, stage, segmenter, z, label)
    features, images = _draw(gan, stage, z, label)
    return features, channels(segmenter(images))


@functools.partial(jax.jit, static_argnames="stage")
def _look(gan: Gan, stage: str, segmenter: Any, z: jax.Array, label: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    act, images = activations(gan, stage, z, label)
    return act.features.astype(jnp.float32), channels(segmenter(images))


@functools.partial(jax.jit, static_argnames="stage")
def _draw(gan: Gan, stage: str, z: jax.Array, label: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    act, images = activations(gan, stage, z, label)
    return act.features.astype(jnp.float32), images


@functools.partial(jax.jit, static_argnames="stage")
def _features(gan: Gan, stage: str, z: jax.Array, label: jax.Array | None) -> jax.Array:
    return gan.until(stage, z, label=label).features.astype(jnp.float32)


_latents = jax.jit(latents)
