"""Stopping a training run from outside."""

from __future__ import annotations

import signal
import threading
from typing import Any

import jax
from jax.experimental import multihost_utils


class StopSignal:
    """Turns SIGTERM and the first Ctrl-C into a request that the loop answers by saving and leaving.

    On a pod JAX itself watches for SIGTERM, so that all processes stop at the same step.
    """

    def __enter__(self) -> StopSignal:
        self._asked = False
        self._old = {}
        if threading.current_thread() is threading.main_thread() and jax.process_count() == 1:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._old[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: Any) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True

    def requested(self, step: int) -> bool:
        """Whether to stop before this step; all processes of a pod get the same answer."""
        if jax.process_count() == 1:
            return self._asked
        return multihost_utils.reached_preemption_sync_point(step)
