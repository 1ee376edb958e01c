"""Standing statistics (Brock et al. 2019, appendix D): batch norms that know exactly what one generator makes.

Running averages lag behind the weights, and averaged weights have never seen a batch at all. So, before a generator is
sampled, its statistics are measured anew: the mean over several batches of each batch's own.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.gan import Gan

Tree = Any
# every batch norm of ganx keeps this much of the old statistics in a training step
MOMENTUM = 0.9


def standing_statistics(gan: Gan, z: jax.Array, label: jax.Array | None = None, **conditions: jax.Array) -> Gan:
    """The same generator with its batch statistics measured on the given latents.

    For a generator whose norms have a table over truncation, every row gets what these latents give: measure with
    latents of the truncation that will be sampled.

    Args:
      gan: a generator with batch norms.
      z: latents `[batches, n, *spec.latent]`; the reference measures over 16 batches.
      label: int32 `[batches, n]` where the generator has classes.
      **conditions: whatever else the family takes, `[batches, n, ...]`.
    """
    if "batch_stats" not in gan.variables:
        raise GanxError(f"this {gan.spec.family} has no batch norms, so there are no statistics to measure")
    if label is not None:
        conditions["label"] = label
    zeros = jax.tree.map(jnp.zeros_like, gan.variables["batch_stats"])
    blank = dataclasses.replace(gan, variables={**gan.variables, "batch_stats": zeros})
    total = zeros
    for i in range(len(z)):  # each turn is one dispatch of a whole batch
        total = _add(total, blank, z[i], {name: value[i] for name, value in conditions.items()})
    # from zero, one step of the running average is 1 - MOMENTUM times the batch's own
    measured = jax.tree.map(lambda leaf: leaf / (len(z) * (1 - MOMENTUM)), total)
    return dataclasses.replace(gan, variables={**gan.variables, "batch_stats": measured})


@jax.jit
def _add(total: Tree, gan: Gan, z: jax.Array, conditions: dict[str, jax.Array]) -> Tree:
    """`total` plus what one step of training makes of statistics that are zero."""
    mutable = [name for name in gan.variables if name != "params"]
    _, new = gan.module.apply(gan.variables, z, True, method="__call__", mutable=mutable, **conditions)
    return jax.tree.map(jnp.add, total, new["batch_stats"])
