"""How many pixels of each class a picture has."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

_ROWS = 4096  # pixels compared with every class at a time on a TPU


@functools.partial(jax.jit, static_argnums=1)
def tally(labels: jax.Array, classes: int) -> jax.Array:
    """Pixels of each class: label maps, integers `[n, H, W]`, to int32 `[n, classes]`.

    Labels outside [0, classes) are not counted. One scatter over `image * classes + label`, except on a TPU, where
    scatters run one by one: there every class is compared, some thousand pixels at a time.
    """
    flat = labels.reshape(len(labels), -1).astype(jnp.int32)
    return _compared(flat, classes) if jax.default_backend() == "tpu" else _scattered(flat, classes)


def _scattered(flat: jax.Array, classes: int) -> jax.Array:
    n = len(flat)
    known = (flat >= 0) & (flat < classes)
    rows = jnp.arange(n, dtype=jnp.int32)[:, None] * classes
    where = jnp.where(known, rows + flat, n * classes)  # beyond the end: dropped
    return jnp.zeros(n * classes, jnp.int32).at[where].add(1, mode="drop").reshape(n, classes)


def _compared(flat: jax.Array, classes: int) -> jax.Array:
    n, pixels = flat.shape
    padded = jnp.pad(flat, ((0, 0), (0, -pixels % _ROWS)), constant_values=-1)
    chunks = padded.reshape(n, -1, _ROWS).swapaxes(0, 1)
    names = jnp.arange(classes, dtype=jnp.int32)

    def add(counts: jax.Array, chunk: jax.Array) -> tuple[jax.Array, None]:
        return counts + (chunk[:, :, None] == names).sum(1, dtype=jnp.int32), None

    return jax.lax.scan(add, jnp.zeros((n, classes), jnp.int32), chunks)[0]


def transitions(before: jax.Array, after: jax.Array, classes: int) -> jax.Array:
    """Pixels of each class that became each other class: two label maps `[n, H, W]` to int32 `[n, classes, classes]`.

    Entry (b, a) counts pixels that were b and are a.
    """
    before, after = (jnp.asarray(x).astype(jnp.int32) for x in (before, after))
    known = (before >= 0) & (before < classes) & (after >= 0) & (after < classes)
    pairs = jnp.where(known, before * classes + after, -1)
    return tally(pairs, classes * classes).reshape(len(pairs), classes, classes)


def table_of(counts: np.ndarray) -> np.ndarray:
    """Tallies as shares of the picture's counted pixels, float64 `[n, classes]`; rows without any are 0."""
    counts = np.asarray(counts, np.float64)
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)
