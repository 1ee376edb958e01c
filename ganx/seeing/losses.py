"""Distances between features, and between images pixel by pixel and feature by feature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import unknown

Features = Callable[[jax.Array], Any]
"""Images `[n, H, W, C]` to a tree of activations `[n, ...]`; a pytree such as `jax.tree_util.Partial`."""
CLAMPS = ("straight", "hard", "none")


def cosine_error(a: jax.Array, b: jax.Array) -> jax.Array:
    """Mean of 1 - cos over all but the last axis: 0 for vectors of the same directions, 1 for orthogonal ones."""
    product = (a * b).sum(-1)
    lengths = jnp.sqrt(jnp.maximum(jnp.square(a).sum(-1) * jnp.square(b).sum(-1), 1e-24))
    return (1 - product / lengths).mean()


def absolute_error(a: jax.Array, b: jax.Array) -> jax.Array:
    """Mean of |a - b|."""
    return jnp.abs(a - b).mean()


DISTANCES = {"cosine": cosine_error, "l1": absolute_error}


def distance(name: str) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A distance by name: "cosine" or "l1"."""
    if name not in DISTANCES:
        raise unknown("distance", name, DISTANCES)
    return DISTANCES[name]


def clamped(images: jax.Array, clamp: str) -> jax.Array:
    """Images within [-1, 1]. "hard" passes no gradient where it clips; "straight" passes all of it."""
    if clamp not in CLAMPS:
        raise unknown("clamp", clamp, CLAMPS)
    if clamp == "none":
        return images
    clipped = jnp.clip(images, -1.0, 1.0)
    return clipped if clamp == "hard" else images + jax.lax.stop_gradient(clipped - images)


def image_loss(images: jax.Array, targets: jax.Array, features: Features | None, wanted: Any) -> jax.Array:
    """mean |x - x'| + mean |V(x) - V(x')| of each image, `[n]`; `wanted` is V(x), whose leaves' means are added."""
    loss = per_image(jnp.abs(images - targets))
    if features is None:
        return loss
    gaps = jax.tree.map(lambda a, b: per_image(jnp.abs(a - b)), features(images), wanted)
    return loss + sum(jax.tree.leaves(gaps))


def per_image(x: jax.Array) -> jax.Array:
    """Mean over all but the first axis."""
    return x.reshape(len(x), -1).mean(1)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation over all components of all samples, as in the paper's figure 6."""
    a, b = (np.asarray(x, np.float64).ravel() for x in (a, b))
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale else 0.0
