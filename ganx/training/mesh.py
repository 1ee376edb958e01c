"""One step, any number of devices: the batch is sharded over the mesh's `data` axis, the state is replicated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ganx.errors import GanxError


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """All devices of all processes (or those given) on one axis, `data`."""
    devices = jax.devices() if devices is None else list(devices)
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def replicate(tree: Any, mesh: Mesh) -> Any:
    """A tree of this process's arrays, the same in every process, on every device of the mesh."""
    return jax.jit(lambda tree: tree, out_shardings=replicated(mesh))(tree)


def batched(mesh: Mesh) -> NamedSharding:
    """The leading axis split over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def shard_batch(tree: Any, mesh: Mesh | None) -> Any:
    """Constrains arrays born inside a step to the data axis.

    Latents, noise and masks have no sharding of their own: without this every device computes the whole batch.
    """
    return tree if mesh is None else jax.lax.with_sharding_constraint(tree, batched(mesh))


def check_batch(batch: int, mesh: Mesh) -> None:
    """Refuses a global batch that the devices cannot share evenly."""
    if batch < 1 or batch % mesh.size:
        near = max(1, round(batch / mesh.size)) * mesh.size
        raise GanxError(f"a batch of {batch} does not divide over {mesh.size} devices; set --config.batch={near}")


def join_pod(coordinator: str | None = None, processes: int | None = None, index: int | None = None) -> None:
    """Connects this process with the others of a pod. Call before any other use of JAX.

    Cloud TPU and Slurm need no arguments; elsewhere give the first process's `host:port`, the number of
    processes and this one's index.
    """
    jax.distributed.initialize(coordinator, processes, index)
