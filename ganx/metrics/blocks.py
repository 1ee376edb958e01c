"""All pairs of two sets of features, a block at a time: what keeps 50,000 x 50,000 distances in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Step = Callable[..., tuple[jax.Array, jax.Array]]
Begin = Callable[[int], jax.Array]
_PADDING, _LEAST = -1, 64


class Block(NamedTuple):
    """Some of a set: features float32 `[n, d]`, their places in it int32 `[n]`, and what is known of each `[n, v]`."""

    features: jax.Array
    place: jax.Array
    known: jax.Array


class Pairs:
    """Rows `[n, d]` against columns `[m, d]`; without columns each pair of two rows once, earlier against later.

    A block's rows are shared over the mesh, its columns are on every device, and one compiled program serves all:
    blocks are padded to one size with rows of index -1. The columns stay on the device; of the pairs there is never
    more than one block.

    Attributes:
      devices: how many share a block's rows.
    """

    def __init__(
        self,
        rows: np.ndarray,
        columns: np.ndarray | None = None,
        *,
        known: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
        block: int = 2048,
        mesh: Mesh | None = None,
    ):
        """`known`: numbers `[n, v]` of the rows and `[m, v]` of the columns that go with them."""
        self.devices = 1 if mesh is None else mesh.size
        self._within = columns is None
        sides = (rows, known[0]), (rows, known[0]) if columns is None else (columns, known[1])
        columns = sides[1][0]
        self._counts = len(rows), len(columns)
        needed = 1 << (max(*self._counts, _LEAST) - 1).bit_length()
        block = -(-min(block, needed) // self.devices) * self.devices
        self._split = None if mesh is None else NamedSharding(mesh, PartitionSpec("data"))
        self._whole = None if mesh is None else NamedSharding(mesh, PartitionSpec())
        self._rows = [_put(part, self._split) for part in _padded(*sides[0], block)]
        self._columns = [_put(part, self._whole) for part in _padded(*sides[1], block)]

    def fold(self, step: Step, rows: Begin, columns: Begin) -> tuple[np.ndarray, np.ndarray]:
        """What is found of every row, `[n, …]`, and of every column, `[m, …]`, in one pass over the pairs.

        `step(row_carry, column_carry, rows, columns)`, compiled, gives the next two carries and may be given
        the memory of these; `rows(n)` and `columns(m)` make the first of a block. All is queued before any is read.
        """
        by_row = [_carry(rows(len(part.place)), self._split) for part in self._rows]
        by_column = [_carry(columns(len(part.place)), self._whole) for part in self._columns]
        for a, block in enumerate(self._rows):
            for b in range(self._first(a), len(by_column)):
                by_row[a], by_column[b] = step(by_row[a], by_column[b], block, self._columns[b])
        found = (np.concatenate([np.asarray(part) for part in parts]) for parts in (by_row, by_column))
        of_rows, of_columns = (parts[:count] for parts, count in zip(found, self._counts, strict=True))
        return of_rows, of_columns

    def map(self, fn: Callable[..., jax.Array]) -> Iterator[jax.Array]:
        """`fn(rows, columns)`, compiled, for every pair of blocks, at most one row of them in flight."""
        for a, rows in enumerate(self._rows):
            yield from [fn(rows, columns) for columns in self._columns[self._first(a) :]]

    def _first(self, a: int) -> int:
        """The first block of columns that the block of rows `a` meets."""
        return a if self._within else 0


def paired(rows: Block, columns: Block, within: bool) -> jax.Array:
    """Which pairs count, bool `[n, m]`: those without padding, and `within` one set each once."""
    i, j = rows.place[:, None], columns.place[None]
    return (i >= 0) & (j >= 0) & (i < j) if within else (i >= 0) & (j >= 0)


def _padded(x: np.ndarray, known: np.ndarray | None, block: int) -> Iterator[tuple[np.ndarray, ...]]:
    known = np.zeros((len(x), 0), np.float32) if known is None else known
    for start in range(0, len(x), block):
        index = np.arange(start, min(start + block, len(x)), dtype=np.int32)
        room = (0, block - len(index))
        rows, beside = (np.pad(np.asarray(a[index], np.float32), (room, (0, 0))) for a in (x, known))
        yield rows, np.pad(index, room, constant_values=_PADDING), beside


def _put(part: tuple[np.ndarray, ...], sharding: NamedSharding | None) -> Block:
    return Block(*(jnp.asarray(a) if sharding is None else jax.device_put(a, sharding) for a in part))


def _carry(first: jax.Array, sharding: NamedSharding | None) -> jax.Array:
    return first if sharding is None else jax.device_put(first, sharding)
