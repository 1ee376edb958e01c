"""Sums over tallies, kept as integers: the same to the last bit for any order, batch size and number of devices."""

from __future__ import annotations

import dataclasses
import functools
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from ganx.arrays import read_npz
from ganx.errors import GanxError
from ganx.seeing.tally import tally
from ganx.training.loops import inner_loop

_EXACT = 256  # images a product: 256 limbs of at most 256 keep sums of products within float32's 2^24
_FLUSH = 127 * _EXACT  # images until an int32 may overflow
FACTORS = {"percent": 100.0, "fraction": 1.0}


@dataclasses.dataclass(frozen=True)
class Moments:
    """First and second moments of tallies.

    Attributes:
      n: images.
      pixels: pixels of an image.
      total: int64 `[K]`, sum of the tallies.
      square: int64 `[K, K]`, sum of their outer products.
      present: int64 `[K]`, images in which a class occurs.
    """

    n: int
    pixels: int
    total: np.ndarray
    square: np.ndarray
    present: np.ndarray

    @classmethod
    def empty(cls, classes: int, pixels: int) -> Self:
        """Of no images yet."""
        if not 0 < pixels < 2**24:
            raise GanxError(f"pictures of {pixels} pixels cannot be counted; give 1 to {2**24 - 1}")
        zero = np.zeros(classes, np.int64)
        return cls(0, pixels, zero, np.zeros((classes, classes), np.int64), zero)

    @classmethod
    def of_counts(cls, counts: np.ndarray, pixels: int) -> Self:
        """Of a whole table of tallies, integers `[n, K]`."""
        return cls.empty(counts.shape[1], pixels).add(counts)

    @property
    def classes(self) -> int:
        return len(self.total)

    def add(self, counts: jax.Array | np.ndarray) -> Self:
        """With further tallies, integers `[n, K]`; where they are sharded, they are reduced where they lie.

        Raises:
          GanxError: another number of classes, or a tally that exceeds the pixels of a picture.
        """
        if counts.ndim != 2 or counts.shape[1] != self.classes:
            raise GanxError(f"tallies have shape {list(counts.shape)}, not [n, {self.classes}]; use one class list")
        found = self
        for start in range(0, len(counts), _FLUSH):
            sums = _sums(jnp.asarray(counts[start : start + _FLUSH], jnp.int32), _limbs(self.pixels))
            found = found._with(min(len(counts) - start, _FLUSH), *jax.device_get(sums))
        return found

    def update(self, labels: jax.Array) -> Self:
        """With further label maps, integers `[n, H, W]`."""
        return self.add(tally(labels, self.classes))

    def merge(self, other: Moments) -> Self:
        """Of both sets of images."""
        if (other.classes, other.pixels) != (self.classes, self.pixels):
            raise GanxError("these statistics are of other classes or picture sizes; measure both sides alike")
        sums = (self.total + other.total, self.square + other.square, self.present + other.present)
        return type(self)(self.n + other.n, self.pixels, *sums)

    def mean(self, units: str = "percent") -> np.ndarray:
        """Mean area of each class, float64 `[K]`, in `units` (see `scale`)."""
        self._need(1)
        return self.total / self.n * self.scale(units)

    def covariance(self, units: str = "percent") -> np.ndarray:
        """Covariance of the areas over n - 1, float64 `[K, K]`."""
        self._need(2)
        total = self.total.astype(np.float64)
        centred = self.square - np.outer(total, total) / self.n
        return centred / (self.n - 1) * self.scale(units) ** 2

    def presence(self) -> np.ndarray:
        """Share of the images in which a class occurs, float64 `[K]`."""
        self._need(1)
        return self.present / self.n

    def scale(self, units: str) -> float:
        """What one pixel counts: "percent" of the picture, "fraction" of it, or "pixels"."""
        if units == "pixels":
            return 1.0
        if units not in FACTORS:
            raise GanxError(f"units are percent, fraction or pixels, not {units!r}")
        return FACTORS[units] / self.pixels

    def save(self, path: epath.PathLike) -> None:
        """Writes an .npz that `load` reads."""
        with epath.Path(path).open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **dataclasses.asdict(self))

    @classmethod
    def load(cls, path: epath.PathLike) -> Self:
        """Reads what `save` wrote."""
        data = read_npz(path, "segmentation statistics", "write some with ganx segstats")
        if not {"n", "pixels", "total", "square", "present"} <= set(data):
            raise GanxError(f"{path} holds no segmentation statistics; write some with ganx segstats")
        return cls(int(data["n"]), int(data["pixels"]), data["total"], data["square"], data["present"])

    def _with(self, n: int, total: np.ndarray, gram: np.ndarray, present: np.ndarray, largest: np.ndarray) -> Self:
        if int(largest) > self.pixels:
            raise GanxError(f"a tally counts {int(largest)} pixels of a class, but a picture has {self.pixels}")
        square = _joined(gram.astype(np.int64), self.classes)
        return dataclasses.replace(
            self,
            n=self.n + n,
            total=self.total + total,
            square=self.square + square,
            present=self.present + present,
        )

    def _need(self, n: int) -> None:
        if self.n < n:
            raise GanxError(f"statistics of {self.n} images say nothing; measure at least {n}")


def _limbs(pixels: int) -> int:
    """Base-256 digits of a tally. The leading one may be 256, which bfloat16 still holds."""
    return 1 if pixels <= 256 else 2 if pixels <= 2**16 else 3


@functools.partial(jax.jit, static_argnums=1)
def _sums(counts: jax.Array, limbs: int) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Sum of the tallies int32 `[K]`, Gram matrix of their digits int32 `[limbs K, limbs K]`, images with each class
    int32 `[K]`, and the largest tally.

    Digits are exact in bfloat16, their products summed over 256 images are exact in float32.
    """
    total = counts.sum(0, dtype=jnp.int32)
    present = (counts > 0).sum(0, dtype=jnp.int32)
    padded = jnp.pad(counts, ((0, -len(counts) % _EXACT), (0, 0)))
    dtype = jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    digits = jnp.concatenate([_digit(padded, i, limbs) for i in range(limbs)], 1).astype(dtype)

    def add(gram: jax.Array, chunk: jax.Array) -> tuple[jax.Array, None]:
        product = jax.lax.dot_general(chunk, chunk, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)
        return gram + product.astype(jnp.int32), None

    size = digits.shape[1]
    chunks = digits.reshape(-1, _EXACT, size)
    gram, _ = inner_loop(add, jnp.zeros((size, size), jnp.int32), chunks)
    return total, gram, present, counts.max(initial=0)


def _digit(counts: jax.Array, i: int, limbs: int) -> jax.Array:
    """Base-256 digit i, the least significant first; the last one takes what is left."""
    shifted = counts >> (8 * i)
    return shifted if i == limbs - 1 else shifted & 255


def _joined(gram: np.ndarray, classes: int) -> np.ndarray:
    """Second moments of the tallies, int64 `[K, K]`, from those of their digits."""
    limbs = len(gram) // classes
    blocks = gram.reshape(limbs, classes, limbs, classes)
    square = np.zeros((classes, classes), np.int64)
    for i in range(limbs):
        for j in range(limbs):
            square += blocks[i, :, j] << (8 * (i + j))
    return square
