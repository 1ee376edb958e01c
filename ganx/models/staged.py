"""What a generator must offer so that every system of ganx can open it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax

from ganx.errors import GanxError

Context = dict[str, Any]  # arrays, or None where a structure says "off"


def no_more_conditions(family: str, takes: str, others: Mapping[str, Any]) -> None:
    """Refuses conditions that a family does not take."""
    if others:
        raise GanxError(f"{family} does not take {', '.join(others)}; besides z it takes {takes}")


class StagedGenerator(nn.Module, kw_only=True):
    """Abstract. A generator as an ordered list of named stages.

    A family sets up one submodule a stage, under the stage's name, so that parameters are found by it
    (`params["layer3"]["style"]["kernel"]`), and defines `stage_names`, `begin` and `run_stage`.
    Between stages only `(features, context)` passes, and every leaf of it has a leading sample axis.

    Fields:
      rectified: stage after which a ReLU stands, whatever the family; "" for none (Li et al. 2022, Implementation
        details: interpretability training puts one where features can be negative).
    """

    rectified: str = ""

    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages in running order: stable, public identifiers."""
        raise NotImplementedError

    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent code."""
        raise NotImplementedError

    def begin(self, z: jax.Array, **conditions: Any) -> tuple[jax.Array, Context]:
        """Input of the first stage. A family names the conditions it takes as keyword arguments."""
        raise NotImplementedError

    def run_stage(self, name: str, features: jax.Array, context: Context, train: bool) -> tuple[jax.Array, Context]:
        """One stage: a pure function of its own parameters, the features and the context."""
        raise NotImplementedError

    def train_conditions(self, key: jax.Array) -> dict[str, Any]:
        """The conditions under which this family trains, such as fresh noise from `key`."""
        del key
        return {}

    def style_matrices(self) -> dict[str, jax.Array]:
        """The matrices through which the latent enters, by stage, as `[rows, d]` (SeFa §2), in layer order.

        Called through `apply`. For a style-based family entry l is what the l-th style code drives.
        """
        raise NotImplementedError

    def run(
        self,
        names: Sequence[str],
        features: jax.Array,
        context: Context,
        train: bool = False,
    ) -> tuple[jax.Array, Context]:
        """Runs consecutive stages."""
        for name in names:
            features, context = self.run_stage(name, features, context, train)
            if name == self.rectified:
                features = jax.nn.relu(features)
        return features, context

    def __call__(self, z: jax.Array, train: bool = False, **conditions: Any) -> jax.Array:
        """Images `[n, H, W, C]` for latents `z`."""
        features, context = self.begin(z, **conditions)
        return self.run(self.stage_names(), features, context, train=train)[0]
