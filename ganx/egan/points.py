"""Generators of points in the plane: how many modes they hold, how well, and what they look like."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganx.data.worlds.gaussians import Gaussians

SIDE, EXTENT = 96, 2.0
"""Pixels and half width of the pictures of points."""
SAMPLES = 10_000
_FAIR = 0.1  # share of its fair share of samples from which a mode counts as held


class Coverage(NamedTuple):
    """What a cloud of points covers of a mixture.

    Attributes:
      modes: modes that got at least a tenth of their fair share of samples.
      quality: share of the samples within three deviations of a mode, in [0, 1].
      divergence: Jensen-Shannon divergence of these samples' modes from equal shares, in nats.
      mmd: squared maximum mean discrepancy from samples of the mixture, unbiased, so that it may be below 0.
      counts: samples within three deviations of each mode, int `[modes]`.
    """

    modes: int
    quality: float
    divergence: float
    mmd: float
    counts: np.ndarray


def coverage(world: Gaussians, points: np.ndarray, real: np.ndarray) -> Coverage:
    """Counts the modes that `points` float `[n, 2]` hold; `real` `[m, 2]` are samples of the world."""
    centres = np.asarray(world.centres, np.float64)
    apart = np.linalg.norm(points[:, None] - centres, axis=-1)
    close = apart.min(1) < 3 * world.deviation
    counts = np.bincount(apart.argmin(1)[close], minlength=len(centres))
    fair = len(points) / len(centres)
    held = int((counts >= _FAIR * fair).sum())
    return Coverage(held, float(close.mean()), divergence(counts), mmd(points, real), counts)


def divergence(counts: np.ndarray) -> float:
    """Jensen-Shannon divergence of a histogram from the uniform one, in nats: 0 to log 2 (which an empty one has)."""
    if not counts.sum():
        return float(np.log(2))
    p, q = counts / counts.sum(), np.full(len(counts), 1 / len(counts))
    middle = (p + q) / 2
    return float((_relative(p, middle) + _relative(q, middle)) / 2)


def _relative(p: np.ndarray, q: np.ndarray) -> float:
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())


def mmd(x: np.ndarray, y: np.ndarray, most: int = 1000) -> float:
    """Unbiased squared MMD of the first `most` samples under exp(-d^2 / s^2), s the median distance between the two."""
    x, y = np.asarray(x[:most], np.float64), np.asarray(y[:most], np.float64)
    across = _squared(x, y)
    width = np.median(np.sqrt(across)) ** 2
    within = [np.exp(-_squared(a, a) / width) for a in (x, y)]
    means = [(k.sum() - len(k)) / (len(k) * (len(k) - 1)) for k in within]
    return float(sum(means) - 2 * np.exp(-across / width).mean())


def _squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.square(x[:, None] - y[None]).sum(-1)


def picture(points: jax.Array) -> jax.Array:
    """One picture of a cloud `[n, 2]`: float32 `[1, SIDE, SIDE, 1]` in [-1, 1], bright where points are."""
    cells = jnp.floor((points + EXTENT) * (SIDE / (2 * EXTENT))).astype(jnp.int32)
    inside = ((cells >= 0) & (cells < SIDE)).all(1)
    where = jnp.clip(cells, 0, SIDE - 1)
    hits = jnp.zeros((SIDE, SIDE)).at[SIDE - 1 - where[:, 1], where[:, 0]].add(inside)
    return (2 * jnp.tanh(hits * (500 / len(points))) - 1)[None, :, :, None]
