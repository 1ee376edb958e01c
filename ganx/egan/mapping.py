"""How members of a population are computed: at once, one by one, or spread over devices on an axis of their own.

Results agree to rounding whatever is chosen. Measured on XLA:CPU, a population of convolutional generators is 4 to 40
times slower under `vmap` (grouped convolutions) and in a `scan` than unrolled; see `ganx.training.loops`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, PartitionSpec

from ganx.training.loops import choose, map_members

Tree = Any
Fn = Callable[..., Tree]
"""`(member, mesh, *shared) -> tree`; `mesh` is what arrays born inside are to be sharded over, None for one device."""

MAPPINGS = ("auto", "unroll", "vmap", "scan", "shard")
_FEW = 8  # members that are unrolled on an accelerator, where their weights are convolutions


@dataclasses.dataclass(frozen=True)
class Mapping:
    """A choice among `MAPPINGS`, made for a run.

    Attributes:
      kind: "auto" shards over several devices, and on one lets `ganx.training.loops` choose; where it would vmap
        convolutions it unrolls a few members and scans many.
      mesh: the run's devices on the axis "data", None for one.
      dense: whether the networks are dense, so that `vmap` makes batched products of them.
    """

    kind: str = "auto"
    mesh: Mesh | None = None
    dense: bool = False

    def __call__(self, fn: Fn, members: Tree, *shared: Tree) -> Tree:
        """`fn(member, mesh, *shared)` for every entry of the first axis of `members`, results stacked."""
        count = len(jax.tree.leaves(members)[0])
        kind, several = self.kind, self.mesh is not None and self.mesh.size > 1
        if kind == "auto":
            kind = "shard" if several and count > 1 else self._alone(count)
        if kind == "shard" and self.mesh is not None:
            return self._shard(fn, members, count, shared)
        return _local(lambda member, *shared: fn(member, self.mesh, *shared), kind, members, shared)

    def _alone(self, count: int) -> str:
        if jax.default_backend() == "cpu" or self.dense:
            return "loops"
        return "unroll" if count <= _FEW else "scan"

    def _shard(self, fn: Fn, members: Tree, count: int, shared: tuple[Tree, ...]) -> Tree:
        """Each part of the devices computes its share of the members; within a part the batch is divided as ever."""
        assert self.mesh is not None
        mesh = population_mesh(self.mesh, count)
        parts = mesh.shape["pop"]
        filled = jax.tree.map(lambda leaf: _padded(leaf, -count % parts), members)
        kind = self._alone(-(-count // parts))

        def part(members: Tree, *shared: Tree) -> Tree:
            inside = jax.sharding.get_abstract_mesh() if mesh.shape["data"] > 1 else None
            return _local(lambda member, *shared: fn(member, inside, *shared), kind, members, shared)

        spread, whole = PartitionSpec("pop"), PartitionSpec()
        run = jax.shard_map(
            part,
            mesh=mesh,
            in_specs=(spread, *(whole for _ in shared)),
            out_specs=spread,
            axis_names={"pop"} if mesh.shape["data"] > 1 else {"pop", "data"},
            check_vma=False,
        )
        return jax.tree.map(lambda leaf: leaf[:count], run(filled, *shared))


def population_mesh(mesh: Mesh, count: int) -> Mesh:
    """The same devices as "pop" x "data": as many parts as members, or the largest number below."""
    parts = max(n for n in range(1, min(mesh.size, count) + 1) if mesh.size % n == 0)
    devices = mesh.devices.reshape(parts, -1)
    return Mesh(devices, ("pop", "data"), axis_types=(AxisType.Auto,) * 2)


def _local(fn: Callable[..., Tree], kind: str, members: Tree, shared: tuple[Tree, ...]) -> Tree:
    if kind == "scan":
        return jax.lax.map(lambda member: fn(member, *shared), members)
    if kind == "loops":
        return map_members(fn, members, *shared)
    with choose(unroll=kind == "unroll"):
        return map_members(fn, members, *shared)


def _padded(leaf: jax.Array, missing: int) -> jax.Array:
    """With the first member repeated at the end; what it computes there is dropped."""
    return leaf if not missing else jnp.concatenate([leaf, jnp.repeat(leaf[:1], missing, 0)])
