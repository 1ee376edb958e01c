"""From pictures to tallies: real ones from a source, generated ones from a GAN, resumable."""

from __future__ import annotations

import dataclasses
import functools
import json
import time
import zlib
from collections.abc import Callable
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jax.sharding import Mesh

from ganx.arrays import read_npz
from ganx.data.example import Source
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.pictures import to_uint8
from ganx.seeing.moments import Moments
from ganx.seeing.tally import tally
from ganx.segment import NONE, Segmenter, channels, checked
from ganx.training.logs import Progress
from ganx.training.mesh import batched, make_mesh, replicated

_SECONDS = 20.0  # between two savings of what is counted so far
Counter = Callable[[np.ndarray], tuple[np.ndarray, int]]
"""Indices `[n]` to tallies int32 `[n, K]` and the pixels of a picture."""


@dataclasses.dataclass(frozen=True)
class Table:
    """Tallies of pictures.

    Attributes:
      names: class names, one a column; names[0] is "none".
      counts: int32 `[n, K]`, pixels of each class in picture i.
      pixels: pixels of a label map.
      what: which pictures, how segmented.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    pixels: int
    what: str

    def moments(self) -> Moments:
        """Their exact moments."""
        return Moments.of_counts(self.counts, self.pixels)

    def save(self, path: epath.PathLike) -> None:
        """Writes an .npz that `load` reads, whole or not at all."""
        target = epath.Path(path)
        half = target.parent / f".{target.name}.part"
        about = json.dumps({"names": self.names, "what": self.what})
        with half.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, counts=self.counts, pixels=self.pixels, about=about)
        half.replace(target)

    @classmethod
    def load(cls, path: epath.PathLike) -> Self:
        """Reads what `save` wrote."""
        data = read_npz(path, "tallies", "write some with ganx segstats --out DIR")
        try:
            about = json.loads(str(data["about"]))
            return cls(tuple(about["names"]), data["counts"], int(data["pixels"]), about["what"])
        except (ValueError, KeyError):
            raise GanxError(f"{path} holds no tallies; write some with ganx segstats --out DIR") from None


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What can be counted.

    Attributes:
      what: a line that tells these pictures from others.
      names: class names, "none" first.
      count: tallies of the pictures at given indices.
      limit: how many there are; None for as many as one likes.
    """

    what: str
    names: tuple[str, ...]
    count: Counter
    limit: int | None = None


def of_source(source: Source, segmenter: Segmenter) -> Pictures:
    """Real pictures, segmented."""
    segment = _segmenting(segmenter)
    name = source.spec.name

    def count(indices: np.ndarray) -> tuple[np.ndarray, int]:
        return segment(source.gather(indices).image)

    return Pictures(f"{name} by {_about(segmenter)}", tuple(segmenter.names), count, len(source))


def of_masks(source: Source) -> Pictures:
    """Real pictures by the masks that come with them; pixels of unknown class are "none"."""
    names = (NONE, *source.spec.masks)
    if len(names) == 1:
        raise GanxError(f"{source.spec.name} has no masks; name a segmenter, or add &masks=NAME,… for a folder's")

    def count(indices: np.ndarray) -> tuple[np.ndarray, int]:
        masks = np.asarray(source.gather(indices).mask).astype(np.int32)
        labels = np.where(masks < len(names) - 1, masks + 1, 0)
        return np.asarray(tally(jnp.asarray(labels), len(names))), labels[0].size

    return Pictures(f"{source.spec.name} by its masks", names, count, len(source))


def of_gan(gan: Gan, segmenter: Segmenter, key: jax.Array, name: str, largest: int = 2**17) -> Pictures:
    """Generated pictures, segmented after rounding to 8 bits, as real ones are.

    Picture i follows from the key and i alone, whatever the batches. `largest` is how many there can be.
    """
    segment = _segmenting(segmenter)
    draw = _drawing(gan, key)

    def count(indices: np.ndarray) -> tuple[np.ndarray, int]:
        return segment(draw(indices))

    words = zlib.crc32(np.asarray(jax.random.key_data(key)).tobytes())
    return Pictures(f"{name} {words:08x} by {_about(segmenter)}", tuple(segmenter.names), count, largest)


def measure(
    pictures: Pictures,
    n: int,
    batch: int = 64,
    save: epath.PathLike | None = None,
    progress: bool = False,
) -> Table:
    """Counts the classes of the first `n` pictures.

    Args:
      pictures: real or generated ones.
      n: how many; there must be as many.
      batch: how many at a time; the result does not depend on it.
      save: an .npz that is written now and then, and gone on from if it is there.
      progress: whether to say how far it is, with the time that is left.

    Raises:
      GanxError: no pictures or fewer than asked for, no batch, or a file of other pictures.
    """
    if n < 1 or batch < 1:
        raise GanxError(f"{n} pictures, {batch} at a time, cannot be counted; give --samples and --batch from 1 up")
    if pictures.limit is not None and n > pictures.limit:
        raise GanxError(f"{n} pictures wanted, but {pictures.what} has {pictures.limit}; lower --samples")
    found, pixels = _resumed(pictures, n, save)
    done = sum(len(part) for part in found)
    bar = Progress(done, n, 1, progress)
    spoke = time.monotonic()
    while done < n:
        indices = np.arange(done, done + batch)
        counts, pixels = pictures.count(np.minimum(indices, n - 1))  # one program: the last batch is filled up
        found.append(counts[: n - done])
        done = min(done + batch, n)
        bar.update(done)
        if save is not None and time.monotonic() - spoke > _SECONDS:
            _table(pictures, found, pixels).save(save)
            spoke = time.monotonic()
    bar.close()
    table = _table(pictures, found, pixels)
    if save is not None:
        table.save(save)
    return dataclasses.replace(table, counts=table.counts[:n])


def _table(pictures: Pictures, found: list[np.ndarray], pixels: int) -> Table:
    return Table(pictures.names, np.concatenate(found).astype(np.int32), pixels, pictures.what)


def _resumed(pictures: Pictures, n: int, save: epath.PathLike | None) -> tuple[list[np.ndarray], int]:
    if save is None or not epath.Path(save).exists():
        return [], 0
    table = Table.load(save)
    if (table.what, table.names) != (pictures.what, pictures.names):
        raise GanxError(f"{save} counts other pictures ({table.what}); give another --out or delete it")
    return [table.counts], table.pixels


def _about(segmenter: Segmenter) -> str:
    names = ",".join(segmenter.names)
    return f"{type(segmenter).__name__} {zlib.crc32(names.encode()):08x}"


def _segmenting(segmenter: Segmenter) -> Callable[[Any], tuple[np.ndarray, int]]:
    """Tallies of uint8 images; on the device where the segmenter can, sharded over all of them."""
    classes, mesh = len(segmenter.names), make_mesh()
    if segmenter.on_device:
        segmenter = jax.device_put(segmenter, replicated(mesh))

    def on_device(images: Any) -> tuple[np.ndarray, int]:
        n = len(images)
        labels_shape = jax.eval_shape(_labels, segmenter, jax.ShapeDtypeStruct(images.shape, jnp.uint8)).shape
        counts = _count(segmenter, _spread(images, mesh), classes)
        return np.asarray(counts)[:n], labels_shape[1] * labels_shape[2]

    def on_host(images: Any) -> tuple[np.ndarray, int]:
        labels = checked(segmenter(_floats(jnp.asarray(images))), segmenter, len(images))[:, 0]
        return np.asarray(tally(jnp.asarray(labels), classes)), labels[0].size

    return on_device if segmenter.on_device else on_host


def _floats(images: jax.Array) -> jax.Array:
    """uint8 to [-1, 1]."""
    return images.astype(jnp.float32) / 127.5 - 1.0


def _labels(segmenter: Segmenter, images: jax.Array) -> jax.Array:
    """The first label of every pixel, int32 `[n, h, w]`, of uint8 images."""
    return channels(segmenter(_floats(images)))[:, 0]


@functools.partial(jax.jit, static_argnums=2)
def _count(segmenter: Any, images: jax.Array, classes: int) -> jax.Array:
    return tally(_labels(segmenter, images), classes)


def _spread(images: Any, mesh: Mesh) -> jax.Array:
    """A batch over the mesh, filled up to a multiple of its devices."""
    images = np.asarray(images)
    missing = -len(images) % mesh.size
    padded = np.concatenate([images, np.repeat(images[:1], missing, 0)])
    return jax.device_put(padded, batched(mesh))


def _drawing(gan: Gan, key: jax.Array) -> Callable[[np.ndarray], np.ndarray]:
    """Pictures uint8 `[n, H, W, C]` at indices: each from a key of its own."""
    mesh = make_mesh()
    gan, key = jax.device_put((gan, key), replicated(mesh))  # a loaded GAN lies on the first device alone

    def draw(indices: np.ndarray) -> np.ndarray:
        spread = _spread(np.asarray(indices, np.int32), mesh)
        return np.asarray(_drawn(gan, key, spread))[: len(indices)]

    return draw


@jax.jit
def _drawn(gan: Gan, key: jax.Array, indices: jax.Array) -> jax.Array:
    def one(index: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        own = jax.random.fold_in(key, index)
        label = gan.labels(own, 1)
        return gan.latents(own, 1)[0], None if label is None else label[0]

    z, label = jax.vmap(one)(indices)
    return to_uint8(gan(z, label=label))
