"""Langevin sampling of latents from the tilted prior (paper eq. 9)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ganx.training.loops import inner_loop
from ganx.training.mesh import shard_batch


@dataclasses.dataclass(frozen=True)
class LangevinRule:
    """How latents move. The paper states none of these; steps of 5, 10 and 15 appear in its figure 7.

    Attributes:
      steps: length of a chain.
      step_size: δ.
      sigma: standard deviation σ0 of the prior.
      clip_score: the largest norm that a sample's slope of g may have; 0 for none. The paper's energy is a sum over all
        entries, so its slope grows with the layer, and unclipped chains can run away after the first update of W.
    """

    steps: int = 15
    step_size: float = 0.1
    sigma: float = 1.0
    clip_score: float = 0.0


@dataclasses.dataclass(frozen=True)
class Chain:
    """Where chains ended. A pytree.

    Attributes:
      z: revised latents, like those at the start.
      score: mean norm of the slope of g over samples and steps, before clipping.
      moved: mean distance |ẑ - z| for each coordinate of the latents.
    """

    z: jax.Array
    score: jax.Array
    moved: jax.Array


jax.tree_util.register_dataclass(Chain, ["z", "score", "moved"], [])


def langevin(
    energy_of: Callable[[jax.Array], jax.Array],
    z: jax.Array,
    key: jax.Array,
    rule: LangevinRule = LangevinRule(),
    *,
    prior: str = "normal",
    step_size: jax.Array | float | None = None,
    sigma: jax.Array | float | None = None,
    mesh: Mesh | None = None,
) -> Chain:
    """Chains of z ← z + δ²/2 (∇ g(z) - z/σ0²) + δ U, one for every sample, from the samples given.

    The paper's eq. 9 prints the slope of P_W; what it cites and what can be computed is the slope of log P_W, used
    here. No Metropolis correction (the paper mentions none). Nothing is differentiated through the chain.

    Args:
      energy_of: latents `[n, ...]` -> g float32 `[n]`, each a function of its own latent alone.
      z: latents at the start, `[n, ...]`: in training the batch's own (paper: "revised latent vectors").
      key: decides the noise.
      rule: constants.
      prior: "normal", or "uniform" on [-1, 1], where chains are reflected at the ends and nothing draws them to 0
        (ours, for families with such latents).
      step_size, sigma: in place of the rule's, where they are traced.
      mesh: devices over which the noise is sharded.
    """
    delta = rule.step_size if step_size is None else step_size
    tightness = 0.0 if prior == "uniform" else 1 / (rule.sigma if sigma is None else sigma) ** 2
    axes = tuple(range(1, z.ndim))

    def body(z: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        slope = jax.grad(lambda z: energy_of(z).sum())(z)
        norm = jnp.sqrt(jnp.square(slope).sum(axes, keepdims=True))
        if rule.clip_score:
            slope = slope * jnp.minimum(1.0, rule.clip_score / jnp.maximum(norm, 1e-30))
        noise = shard_batch(jax.random.normal(key, z.shape, z.dtype), mesh)
        z = z + delta**2 / 2 * (slope - tightness * z) + delta * noise
        return reflect(z) if prior == "uniform" else z, norm.mean()

    start = jax.lax.stop_gradient(z)
    end, norms = inner_loop(body, start, jax.random.split(key, rule.steps))
    end = jax.lax.stop_gradient(end)
    return Chain(end, norms.mean(), jnp.abs(end - start).mean())


def reflect(z: jax.Array) -> jax.Array:
    """Folds the real line into [-1, 1]: what leaves through an end comes back from it."""
    return 1.0 - jnp.abs(jnp.mod(z + 1.0, 4.0) - 2.0)
