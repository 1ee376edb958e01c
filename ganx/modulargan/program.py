"""Programs: ordered lists of attribute = value, and the one plan by which a batch of different ones runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ganx.errors import GanxError, unknown

Names = Mapping[str, tuple[str, ...]]
Program = tuple[tuple[int, int], ...]
"""Steps (attribute index, value index) in the order in which they run. An attribute may come twice: the later wins."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a batch of programs runs: one shared order of modules, and which samples take part in each step.

    Attributes:
      order: int32 `[K]` attribute index of each step, -1 for a step that does nothing.
      values: int32 `[K, n]` value index, -1 where a sample sits the step out.
    """

    order: np.ndarray
    values: np.ndarray


def parse_program(text: str | Sequence[tuple[object, object]], attributes: Names) -> Program:
    """Reads "hair=blond,smile=1,glasses=0", values by name or index, or pairs of the same; "" is the empty program.

    A program that is parsed already comes back as it is, once its numbers are known to be right.

    Args:
      attributes: names of each attribute's values, in the order of the bank.

    Raises:
      GanxError: for text that is no program, and for unknown attributes and values, with the nearest one.
    """
    if isinstance(text, str):
        pairs = [part.partition("=") for part in text.split(",") if part.strip()]
        for name, equals, value in pairs:
            if not (equals and name.strip() and value.strip()):
                raise GanxError(f"cannot read {name + equals!r} in a program; write attribute=value,attribute=value")
        text = [(name.strip(), value.strip()) for name, _, value in pairs]
    return tuple(_step(name, value, attributes) for name, value in text)


def _step(name: object, value: object, attributes: Names) -> tuple[int, int]:
    names = list(attributes)
    if isinstance(name, int) and 0 <= name < len(names):
        name = names[name]
    if not isinstance(name, str) or name not in attributes:
        raise unknown("module", str(name), attributes)
    values = attributes[name]
    where = names.index(name)
    if value in values:
        return where, values.index(str(value))
    index = int(str(value)) if str(value).isdigit() else -1
    if not 0 <= index < len(values):
        raise unknown(f"value of {name}", str(value), values)
    return where, index


def plan(programs: Sequence[Program], modules: int) -> Plan:
    """One order that every program of a batch is a part of, found greedily, and who takes part when.

    Programs that agree on an order cost as many steps as the longest of them. The number of steps is rounded up to a
    multiple of `modules`, so that few programs are compiled.
    """
    at, order, values = [0] * len(programs), [], []
    while any(i < len(program) for i, program in zip(at, programs, strict=True)):
        waiting = [p[i][0] if i < len(p) else -1 for i, p in zip(at, programs, strict=True)]
        module = _next(programs, at, waiting)
        order.append(module)
        values.append([p[i][1] if w == module else -1 for i, p, w in zip(at, programs, waiting, strict=True)])
        at = [i + (w == module) for i, w in zip(at, waiting, strict=True)]
    steps = max(1, -(-len(order) // modules)) * modules
    shared, given = np.full(steps, -1, np.int32), np.full((steps, len(programs)), -1, np.int32)
    if order:
        shared[: len(order)], given[: len(order)] = order, values
    return Plan(shared, given)


def _next(programs: Sequence[Program], at: Sequence[int], waiting: Sequence[int]) -> int:
    """The module to run next: wanted now by samples of which none needs it again, if there is one; of these the one
    that most samples wait for."""
    wanted = {module for module in waiting if module >= 0}
    later = {step[0] for program, i in zip(programs, at, strict=True) for step in program[i + 1 :]}
    free = (wanted - later) or wanted
    return max(sorted(free), key=waiting.count)
