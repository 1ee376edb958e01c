"""Loops, branches and populations in the form that the backend runs well: the one place that chooses.

XLA:CPU runs convolutions, and above all their gradients, 2 to 100 times slower inside `while` and `cond` than
outside, and a convolution whose kernels were vmapped becomes a grouped one, 4 to 40 times slower. So on CPU loops
and populations are unrolled, and branches are taken on the host; on accelerators they stay rolled up. Results agree
to rounding. `scripts/bench/loops.py` shows the difference.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

Carry = TypeVar("Carry")
Tree = Any

_forced: contextvars.ContextVar[bool | None] = contextvars.ContextVar("unrolled", default=None)


def unrolled() -> bool:
    """Whether loops and populations are unrolled: on CPU, unless `choose` says otherwise."""
    forced = _forced.get()
    return jax.default_backend() == "cpu" if forced is None else forced


@contextlib.contextmanager
def choose(unroll: bool) -> Iterator[None]:
    """Within the context, what is traced unrolls (True) or rolls up (False) whatever the backend."""
    token = _forced.set(unroll)
    try:
        yield
    finally:
        _forced.reset(token)


def inner_loop(
    body: Callable[[Carry, Tree], tuple[Carry, Tree]], carry: Carry, xs: Tree = None, length: int | None = None
) -> tuple[Carry, Tree]:
    """`jax.lax.scan(body, carry, xs, length)`, unrolled on CPU.

    Returns:
      The last carry, and what `body` gave beside it, stacked along a new first axis.
    """
    # unroll=0 unrolls a loop of any length; unroll=True keeps the `while` around a loop of length one
    return jax.lax.scan(body, carry, xs, length, unroll=0 if unrolled() else 1)


def when(due: bool | jax.Array, then: Callable[[Tree], Tree], otherwise: Callable[[Tree], Tree], operand: Tree) -> Tree:
    """`then(operand)` if `due`, else `otherwise(operand)`.

    A Python bool picks while tracing, so that the program holds one of them; an array becomes `jax.lax.cond`.
    """
    if isinstance(due, bool):
        return then(operand) if due else otherwise(operand)
    return jax.lax.cond(due, then, otherwise, operand)


def map_members(fn: Callable[..., Tree], members: Tree, *shared: Tree) -> Tree:
    """`fn(member, *shared)` for every member of a population whose weights differ.

    Args:
      members: a tree whose leaves have a first axis, one entry a member.
      *shared: passed to each call whole.

    Returns:
      The results, stacked along a new first axis: `jax.vmap` on accelerators, one call a member on CPU.
    """
    if not unrolled():
        return jax.vmap(lambda member: fn(member, *shared))(members)
    count = len(jax.tree.leaves(members)[0])
    results = [fn(jax.tree.map(lambda leaf, i=i: leaf[i], members), *shared) for i in range(count)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)
