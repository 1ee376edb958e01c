"""What interpretability costs: a Fréchet distance that needs no network (ours)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def pooled_pixels(images: jax.Array, side: int = 8) -> jax.Array:
    """Images `[n, H, W, C]` averaged down to `side` x `side` and flattened: `[n, side side C]`."""
    n, height, width, channels = images.shape
    blocks = images.astype(jnp.float32).reshape(n, side, height // side, side, width // side, channels)
    return blocks.mean((2, 4)).reshape(n, -1)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of Gaussians fitted to two sets of points `[n, d]` (Dowson and Landau 1982).

    On pooled pixels it sees colours, places and their variety, not texture: it ranks variants of one generator, and
    its values say nothing beside those of FID.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ two @ root), 0)).sum()
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(one) + np.trace(two) - 2 * cross)
