"""Adversarial losses on logits. Each is a pair: the discriminator's and the generator's, means over the batch.

All take float32 logits `[n]`; `real` are D(x), `fake` are D(G(z)).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import relu, softplus

from ganx.errors import unknown


class Loss(NamedTuple):
    """`discriminator(real, fake)` and `generator(fake)`, scalars to minimise."""

    discriminator: Callable[[jax.Array, jax.Array], jax.Array]
    generator: Callable[[jax.Array], jax.Array]


def _logistic(real: jax.Array, fake: jax.Array) -> jax.Array:
    return softplus(-real).mean() + softplus(fake).mean()


LOSSES = {
    # Goodfellow et al. 2014: the logistic game, with the generator's non-saturating form or the literal minimax one
    "non_saturating": Loss(_logistic, lambda fake: softplus(-fake).mean()),
    "saturating": Loss(_logistic, lambda fake: -softplus(fake).mean()),
    # Lim & Ye 2017, Miyato et al. 2018
    "hinge": Loss(lambda real, fake: relu(1 - real).mean() + relu(1 + fake).mean(), lambda fake: -fake.mean()),
    # Arjovsky et al. 2017; with training.penalties' gradient penalty this is WGAN-GP
    "wasserstein": Loss(lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
    # Mao et al. 2017, eq. (9) with a = 0, b = c = 1
    "least_squares": Loss(
        lambda real, fake: 0.5 * jnp.square(real - 1).mean() + 0.5 * jnp.square(fake).mean(),
        lambda fake: 0.5 * jnp.square(fake - 1).mean(),
    ),
}


def loss(name: str) -> Loss:
    """The loss of that name, or a `GanxError` that lists them."""
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name]
