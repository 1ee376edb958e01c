"""The compiled training step: data made or unpacked on the device, one or several steps a dispatch, state donated."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ganx.data import Feed
from ganx.training.loops import inner_loop, unrolled
from ganx.training.mesh import replicated, shard_batch
from ganx.training.method import Method, Metrics

Due = tuple[tuple[str, bool], ...]


class Program:
    """`program(state, step, count)` runs `count` steps from `step` on; the old state's memory is given away.

    On an accelerator there is one program of several steps, whose lazy parts are branches. On CPU, where XLA runs
    convolutions badly inside a branch or a loop and a dispatch costs little, there is one program of one step for each
    combination of lazy parts, and the host picks it.
    Step k takes the feed's batch k + `ahead`. `lowered` is told a device's share of a step's FLOP before it is
    compiled; `compiled` what a device really does, and the seconds that compiling took.
    """

    def __init__(
        self,
        method: Method,
        feed: Feed,
        mesh: Mesh,
        compiled: Callable[[float, float], None],
        ahead: int = 0,
        lowered: Callable[[float], None] = lambda flops: None,
    ):
        self._method, self._feed, self._mesh, self._ahead = method, feed, mesh, ahead
        self._lowered, self._compiled = lowered, compiled
        self._programs: dict[tuple[Due, int], Any] = {}

    def __call__(self, state: Any, step: int, count: int) -> tuple[Any, Metrics]:
        if unrolled() and count > 1:
            for i in range(count):
                state, metrics = self(state, step + i, 1)
            return state, metrics
        batches = tuple(self._feed.batch(step + self._ahead + i) for i in range(count))
        plan = self._due(step), count
        if plan not in self._programs:
            self._programs[plan] = self._compile(*plan, state, batches)
        return self._programs[plan](state, self._feed.constants, batches)

    def _due(self, step: int) -> Due:
        if not unrolled():
            return ()
        return tuple((name, step % every == 0) for name, every in self._method.lazy.items())

    def _compile(self, due: Due, count: int, state: Any, batches: tuple[Any, ...]) -> Any:
        began = time.monotonic()
        everywhere = replicated(self._mesh)
        step = jax.jit(self._body(due), donate_argnums=0, out_shardings=(everywhere, everywhere))
        lowered = step.lower(state, self._feed.constants, batches)
        cost = lowered.cost_analysis() or {}
        self._lowered(cost.get("flops", 0.0) / count / self._mesh.size)
        program = lowered.compile()
        cost = program.cost_analysis() or {}
        self._compiled(cost.get("flops", 0.0) / count, time.monotonic() - began)
        return program

    def _body(self, due: Due) -> Callable[..., tuple[Any, Metrics]]:
        def one(state: Any, batch: Any, constants: Any, due: Mapping[str, Any]) -> tuple[Any, Metrics]:
            examples = shard_batch(self._feed.materialise(constants, batch), self._mesh)
            return self._method.step(state, examples, due)

        def single(state: Any, constants: Any, batches: tuple[Any, ...]) -> tuple[Any, Metrics]:
            return one(state, batches[0], constants, dict(due))

        def scanned(state: Any, constants: Any, batches: tuple[Any, ...]) -> tuple[Any, Metrics]:
            def body(state: Any, batch: Any) -> tuple[Any, Metrics]:
                due = {name: state.step % every == 0 for name, every in self._method.lazy.items()}
                return one(state, batch, constants, due)

            state, metrics = inner_loop(body, state, jax.tree.map(lambda *b: jnp.stack(b), *batches))
            return state, jax.tree.map(lambda m: m[-1], metrics)

        return single if unrolled() else scanned
