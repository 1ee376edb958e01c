"""What turns gradients into updates."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from ganx.training.orthogonal import orthogonal

Tree = Any

_LARGEST = 1e5


def adam(config: ConfigDict, every: int = 1) -> optax.GradientTransformation:
    """Adam, its constants adjusted for a lazy penalty in every `every`-th step (Karras et al. 2020, appendix B).

    `config` holds lr, b1, b2, eps and the strength of orthogonal regularisation.
    """
    c = every / (every + 1) if every > 1 else 1.0
    plain = optax.adam(config.lr * c, config.b1**c, config.b2**c, config.eps)
    return optax.chain(orthogonal(config.orthogonal), plain) if config.orthogonal else plain


def finite(grads: Tree) -> Tree:
    """Gradients with 0 for NaN and ±1e5 for what is infinite (StyleGAN2-ADA's training loop)."""
    return jax.tree.map(lambda g: jnp.nan_to_num(g, nan=0.0, posinf=_LARGEST, neginf=-_LARGEST), grads)
