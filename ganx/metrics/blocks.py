"""All pairs of two sets of features, a block at a time: what keeps 50,000 x 50,000 distances in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Fold = Callable[[Any, jax.Array, jax.Array, jax.Array, jax.Array], Any]
_PADDING, _LEAST = -1, 64


class Pairs:
    """Rows `[n, d]` against columns `[m, d]`. Blocks are padded to one size; padding has index -1.

    A block's rows are shared over the mesh, its columns are on every device, and one compiled program serves all.
    The columns stay on the device; of the pairs there is never more than one block.
    """

    def __init__(self, rows: np.ndarray, columns: np.ndarray, block: int, mesh: Mesh | None = None):
        devices = 1 if mesh is None else mesh.size
        self.count = len(rows)
        needed = 1 << (max(len(rows), len(columns), _LEAST) - 1).bit_length()
        block = -(-min(block, needed) // devices) * devices
        self._split = split = None if mesh is None else NamedSharding(mesh, PartitionSpec("data"))
        whole = None if mesh is None else NamedSharding(mesh, PartitionSpec())
        self._rows = [_put(part, split) for part in _padded(rows, block)]
        self._columns = [_put(part, whole) for part in _padded(columns, block)]

    def fold(self, step: Fold, begin: Callable[[int], Any]) -> Iterator[Any]:
        """For each block of rows, `carry = step(carry, rows, i, columns, j)` over all blocks of columns.

        `step` is compiled and may be given its carry's memory; `begin(n)` makes the carry of `n` rows. Yields the last
        carries; everything is queued before the first is read.
        """
        found = []
        for rows in self._rows:
            carry = begin(len(rows[0]))
            carry = carry if self._split is None else jax.device_put(carry, self._split)
            for columns in self._columns:
                carry = step(carry, *rows, *columns)
            found.append(carry)
        yield from found

    def map(self, fn: Callable[..., jax.Array]) -> Iterator[jax.Array]:
        """`fn(rows, i, columns, j)`, compiled, for every pair of blocks, at most one row of them in flight."""
        for rows in self._rows:
            yield from [fn(*rows, *columns) for columns in self._columns]

    def gather(self, parts: Iterator[jax.Array]) -> np.ndarray:
        """One value a row, `[n, …]`, from one array a block of rows."""
        return np.concatenate([np.asarray(part) for part in parts])[: self.count]


def _padded(x: np.ndarray, block: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(x), block):
        part = np.asarray(x[start : start + block], np.float32)
        index = np.full(block, _PADDING, np.int32)
        index[: len(part)] = np.arange(start, start + len(part))
        yield np.pad(part, ((0, block - len(part)), (0, 0))), index


def _put(part: tuple[np.ndarray, np.ndarray], sharding: NamedSharding | None) -> tuple[jax.Array, jax.Array]:
    if sharding is None:
        return jnp.asarray(part[0]), jnp.asarray(part[1])
    return jax.device_put(part[0], sharding), jax.device_put(part[1], sharding)
