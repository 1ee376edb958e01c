"""The weights W of the energy: what pushes them (paper eqs 5 and 8) and how they are kept (`[k, m, c]`, float32)."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from ganx.igan.partition import membership


@dataclasses.dataclass(frozen=True)
class WeightRule:
    """How W moves. The defaults are the paper's (Implementation details); the last two fields are ours.

    Attributes:
      lr: learning rate of plain SGD.
      lambda0: weight of all interpretability terms.
      lambda1: weight of other groups' entries in the interpretability loss.
      lambda2: weight of the realism term in W's gradient.
      mle_scale: a further factor on the realism term alone. At the paper's learning rate that term can outrun the
        push within two updates and turn own-group weights negative; 0 makes W a pure schedule.
      mle_limit: the realism term is shrunk so that its root mean square is at most this many times the push's; 0
        leaves it alone. Unlike `mle_scale` it does not depend on how large features are.
    """

    lr: float = 10.0
    lambda0: float = 1.0
    lambda1: float = 2 / 3
    lambda2: float = 1.0
    mle_scale: float = 1.0
    mle_limit: float = 0.0


def initial_weights(positions: int, filters: int, groups: int) -> jax.Array:
    """W = 0 (paper, Implementation details): `[k, m, c]`."""
    return jnp.zeros((positions, filters, groups))


def interpretability_slope(labels: jax.Array, groups: int, lambda1: float) -> jax.Array:
    """Gradient of the interpretability loss, the same at all positions: -1 on own-group entries, λ1 elsewhere.

    Returns:
      float32 `[m, c]`.
    """
    own = membership(labels, groups)
    return lambda1 * (1.0 - own) - own


def interpretability_loss(weights: jax.Array, labels: jax.Array, lambda1: float = 2 / 3) -> jax.Array:
    """L_interp = -Σ 1[q_j = c] W_jck + λ1 Σ 1[q_j ≠ c] W_jck (paper eq. 5): a float32 scalar."""
    return (weights.sum(0) * interpretability_slope(labels, weights.shape[-1], lambda1)).sum()


def update_weights(
    weights: jax.Array, realism: jax.Array, labels: jax.Array, lambda3: jax.Array | float, rule: WeightRule
) -> jax.Array:
    """One step of SGD on λ0 (λ2 L_real + λ3 L_interp) (paper eqs 6 and 7).

    Args:
      weights: `[k, m, c]`.
      realism: gradient of L_real, `[k, m, c]`, see `energy.realism_slope`.
      labels: int32 `[m]`.
      lambda3: weight of the interpretability loss now, see `lambda3`.
      rule: the rest.
    """
    push = lambda3 * interpretability_slope(labels, weights.shape[-1], rule.lambda1)
    pull = rule.lambda2 * rule.mle_scale * realism
    if rule.mle_limit:
        pull = pull * jnp.minimum(1.0, rule.mle_limit * _rms(push) / jnp.maximum(_rms(pull), 1e-30))
    return weights - rule.lr * rule.lambda0 * (pull + push)


def lambda3(done: jax.Array | float, horizon: float, start: float = 3e-2, end: float = 3e-6) -> jax.Array:
    """λ3 after `done` batches: exponential from `start` to `end` over `horizon` batches (paper), then constant.

    The paper decays "during 500 batches" for T = 50 and 1000 for T = 100. Our reading: these are batches of the GAN,
    so that ten updates of W see the decay. Give both in the unit wanted.
    """
    return start * (end / start) ** jnp.clip(jnp.asarray(done, jnp.float32) / horizon, 0.0, 1.0)


def follow_labels(weights: jax.Array, old: jax.Array, new: jax.Array) -> jax.Array:
    """W after filters changed groups: a filter that went from a to b swaps its rows for a and b (ours).

    Args:
      weights: `[k, m, c]`.
      old, new: labels int32 `[m]`.
    """
    order = jnp.broadcast_to(jnp.arange(weights.shape[-1]), weights.shape[1:])
    filters = jnp.arange(len(old))
    order = order.at[filters, old].set(new).at[filters, new].set(old)
    return jnp.take_along_axis(weights, order[None], axis=2)


def _rms(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.square(x).mean())
