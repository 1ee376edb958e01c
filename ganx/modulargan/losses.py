"""The losses of ModularGAN and StarGAN: WGAN-GP over patches, classification of values, L1 cycles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ganx.models.modular_parts import value_code
from ganx.training.penalties import gradient_penalty, wgan_gp

Judge = Callable[[Any, jax.Array], tuple[jax.Array, jax.Array]]
"""`(parameters, images) -> (scores of patches [n, h, w], logits [n, k])`."""

CLS_LOSSES = ("softmax", "bce_sum")
REDUCTIONS = ("sum", "mean")


def classification(logits: jax.Array, values: jax.Array, count: int, kind: str = "softmax") -> jax.Array:
    """-log D_cls(value | x) on average over the batch; samples whose value is -1 (not known) count nothing.

    Args:
      logits: `[n, k]`; one for an attribute of two values, else one a value.
      values: int32 `[n]`.
      count: how many values the attribute has.
      kind: "softmax" (mean over the known samples), or "bce_sum": binary cross-entropy summed over the logits and
        divided by the whole batch, which weighs an attribute of three values three times (StarGAN's code).
    """
    known = (values >= 0).astype(jnp.float32)
    if kind == "bce_sum" or count == 2:
        each = optax.sigmoid_binary_cross_entropy(logits, value_code(values, count)).sum(-1)
    else:
        each = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(values, 0))
    total = len(values) if kind == "bce_sum" else jnp.maximum(known.sum(), 1.0)
    return (known * each).sum() / total


def wasserstein(real: jax.Array, fake: jax.Array) -> jax.Array:
    """E[D(fake)] - E[D(real)] of patch scores: what the critic minimises."""
    return fake.mean() - real.mean()


def slope_penalty(
    judge: Judge, params: Any, real: jax.Array, fake: jax.Array, epsilon: jax.Array, reduce: str = "sum"
) -> jax.Array:
    """E[(‖∇D(x̂)‖ - 1)²] between real and fake images, x̂ = εx + (1 - ε)y.

    Args:
      judge: a discriminator; nothing in it may mix samples.
      real, fake: `[n, H, W, C]`.
      epsilon: `[n]`, uniform on [0, 1].
      reduce: "sum" takes the slope of the sum over patches, as StarGAN's code does: the score, their mean, then has
        a slope of 1 over their number. "mean" takes the slope of the score itself.
    """
    e = epsilon[:, None, None, None]
    between = e * real + (1.0 - e) * fake

    def critic(params: Any, x: jax.Array) -> jax.Array:
        scores = judge(params, x)[0]
        return scores.sum((1, 2)) if reduce == "sum" else scores.mean((1, 2))

    return gradient_penalty(critic, wgan_gp, params, between)


def l1(a: jax.Array, b: jax.Array) -> jax.Array:
    """Mean absolute difference over all elements."""
    return jnp.abs(a.astype(jnp.float32) - b.astype(jnp.float32)).mean()
