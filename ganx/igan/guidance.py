"""What the generator hears of the energy: ∂L_real/∂G, and how loud (paper eq. 3 and Implementation details)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ganx.igan.energy import PAPER, EnergyForm, energy

Tree = Any


@dataclasses.dataclass(frozen=True)
class GuidanceRule:
    """How the generator is moved by the energy.

    Attributes:
      lambda0: weight of all interpretability terms (paper).
      lambda2: weight of L_real in the generator's gradient (paper: 0.1 for BigGAN, 0.05 for StyleGAN).
      clip: the gradient's global norm is at most this many times the running mean of the GAN gradient's; 0 leaves
        it alone (ours: one huge gradient inflates Adam's second moment for a hundred steps).
      memory: share of the old value that a step keeps in that running mean (ours).
      joint: G descends the energy's term together with the GAN's loss in every GAN step, as eq. 1 has it, in place of
        a step of its own at every update (the paper's Algorithm); from the first update until the last.
    """

    lambda0: float = 1.0
    lambda2: float = 0.1
    clip: float = 0.0
    memory: float = 0.9
    joint: bool = False


def guidance_loss(
    features: jax.Array, weights: jax.Array, labels: jax.Array, rule: GuidanceRule, form: EnergyForm = PAPER
) -> jax.Array:
    """What the generator descends: -λ0 λ2 mean g_W(f(z)), a scalar; Z(W) and the prior do not depend on it (ours).

    Args:
      features: at latents from the prior, `[n, h, w, m]`; the gradient goes through them alone.
      weights: W, `[k, m, c]`.
      labels: int32 `[m]`.
      rule, form: switches.
    """
    return -rule.lambda0 * rule.lambda2 * energy(features, jax.lax.stop_gradient(weights), labels, None, form).mean()


def usual_norm(mean: jax.Array, norm: jax.Array, rule: GuidanceRule) -> jax.Array:
    """The running mean of the GAN gradient's global norm after one more; a mean of 0 stands for "none yet"."""
    return jnp.where(mean > 0, rule.memory * mean + (1 - rule.memory) * norm, norm)


def clip_guidance(grads: Tree, usual: jax.Array, rule: GuidanceRule) -> tuple[Tree, jax.Array]:
    """The gradient, shortened if it is too long for the rule, and its global norm before that."""
    norm = optax.tree.norm(grads)
    if not rule.clip:
        return grads, norm
    factor = jnp.minimum(1.0, rule.clip * usual / jnp.maximum(norm, 1e-30))
    return jax.tree.map(lambda leaf: (factor * leaf).astype(leaf.dtype), grads), norm
