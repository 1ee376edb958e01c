"""What the loop asks of a training method: pure functions over a pytree of state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax

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
    """

    init: Callable[[jax.Array], State]
    step: Callable[[State, Batch, Mapping[str, Any]], tuple[State, Metrics]]
    sample: Callable[[State, jax.Array, int], jax.Array]
    gan: Callable[[State], Gan]
    critic: Callable[[State], tuple[Any, Any]]
    images: int
    lazy: Mapping[str, int] = field(default_factory=dict)
