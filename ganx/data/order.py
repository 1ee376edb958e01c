"""Which example comes when: one function of (seed, position), the same for every residency and number of hosts."""

from __future__ import annotations

from typing import Any

import grain
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ganx.errors import GanxError

_SEEDS = 2**32


class Order:
    """An endless shuffled run through a source, a new order every epoch.

    Position p is the p-th example of a training run, over all hosts: step s with a global batch of B takes
    positions sB to (s+1)B - 1. So the position alone says where a run stands, whatever reads it.
    """

    def __init__(self, length: int, seed: int) -> None:
        if length < 1:
            raise GanxError("the source is empty; there is nothing to train on")
        self._order = grain.MapDataset.range(length).seed(seed % _SEEDS).shuffle().repeat()

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        """Examples at `positions`, int64 `[n]`: indices into the source, int32 `[n]`.

        Indices repeat once an epoch is over: it holds every example exactly once.
        """
        return np.array([self._order[int(position)] for position in positions], np.int32)


def local_rows(batch: int, mesh: Mesh | None, process: tuple[int, int]) -> np.ndarray:
    """Rows of the global batch that this process loads, sorted int64.

    With a mesh, those that its devices hold; else an even, contiguous share.

    Raises:
      GanxError: if the batch does not divide over the processes and devices.
    """
    index, count = process
    if batch < 1 or batch % count:
        raise GanxError(f"a batch of {batch} does not divide over {count} processes; take a multiple of {count}")
    if mesh is None:
        share = batch // count
        return np.arange(index * share, (index + 1) * share)
    size = mesh.shape["data"]
    if batch % size:
        near = max(1, round(batch / size)) * size
        raise GanxError(f"a batch of {batch} does not divide over {size} devices; take {near}")
    slices = NamedSharding(mesh, PartitionSpec("data")).addressable_devices_indices_map((batch,)).values()
    return np.unique(np.concatenate([np.arange(batch)[index] for index in slices if index is not None]))


def to_global(local: Any, mesh: Mesh | None) -> Any:
    """The global batch as jax Arrays, sharded over the mesh's `data` axis, of the rows that each process has."""
    if mesh is None:
        return jax.tree.map(jax.numpy.asarray, local)
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, leaf), local)
