"""What the loop asks of a training method: pure functions over a pytree of state."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax

import ganx
from ganx.errors import unknown
from ganx.gan import Gan

State = Any
Batch = Mapping[str, Any]
Metrics = dict[str, jax.Array]


@dataclass(frozen=True)
class Method:
    """A way of training. The loop in `training.loop` does all the rest, for every method.

    Attributes:
      init: `key -> state`; state is a pytree that holds all that the next step needs, the key included.
      step: `(state, batch, due) -> (state, metrics)`. `batch` has "image" float32 `[n, H, W, C]` in [-1, 1], "label",
        "attrs" and "index"; `due` says for each of `lazy` whether it is this step's turn; metrics are float32 scalars.
      sample: `(state, key, n) -> images` float32 `[n, H, W, C]`.
      gan: `state -> Gan`, the generator that a user takes away (averaged weights where there are any).
      critic: `state -> (module, variables)`, the discriminator that is saved beside the generator.
      images: images that one step takes from the feed.
      lazy: parts of the step that run only every so many steps, by name.
      labels: whether every example must have a class label.
      start: what a new run does with its fresh state before the first step, such as putting trained weights into it;
        called outside of jit. None for nothing.
      warn: what a user should know of a step's metrics while the run goes on, one sentence or None; told once.
    """

    init: Callable[[jax.Array], State]
    step: Callable[[State, Batch, Mapping[str, Any]], tuple[State, Metrics]]
    sample: Callable[[State, jax.Array, int], jax.Array]
    gan: Callable[[State], Gan]
    critic: Callable[[State], tuple[Any, Any]]
    images: int
    lazy: Mapping[str, int] = field(default_factory=dict)
    labels: bool = False
    start: Callable[[State], State] | None = None
    warn: Callable[[int, Mapping[str, float]], str | None] = lambda step, metrics: None


@dataclass(frozen=True)
class Span:
    """A method and the steps of a run that it is for.

    Attributes:
      start, stop: from `start` up to but not including `stop`; None for as long as the run lasts.
      batches: which batch of the feed comes first.
    """

    method: Method
    start: int = 0
    stop: int | None = None
    batches: int = 0


def find_method(name: str) -> Callable[..., list[Span]]:
    """What `config.method` names: the function `spans(config, data, mesh)` of the module `ganx.<name>.method`.

    Raises:
      GanxError: no package has such a module.
    """
    packages = [package.name for package in pkgutil.iter_modules(ganx.__path__) if package.ispkg]
    known = [p for p in packages if p != "training" and importlib.util.find_spec(f"ganx.{p}.method")]
    if name not in known:
        raise unknown("method", name, ["adversarial", *known])
    return importlib.import_module(f"ganx.{name}.method").spans
