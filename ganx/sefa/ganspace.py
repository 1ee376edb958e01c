"""The unsupervised baseline: GANSpace (Härkönen et al. 2020), principal components of samples.

Of styles in a style-based generator; elsewhere of one stage's features, carried back to z by least squares.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from ganx import codes
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.sefa.directions import Directions, code_space, moved_layers
from ganx.sefa.layers import Layers
from ganx.sefa.pca import Components, principal_components

SPREAD_SAMPLES = 5_000
"""Codes of which the natural step along each direction is measured (their deviation)."""

_BATCH = 4096
_FEATURES = 2**24  # most numbers of one batch of features


def ganspace(
    gan: Gan,
    key: jax.Array,
    n: int = 100_000,
    k: int = 20,
    layers: Layers = "all",
    stage: str | None = None,
) -> Directions:
    """GANSpace directions from `n` samples; steps count in deviations (`Directions.scales`).

    Args:
      gan: any family.
      key: of the samples.
      n: how many samples; rounded up to whole batches. The authors have 1,000,000 styles, or 10,000 for the way back
        from features.
      k: how many components.
      layers: which layers an edit moves.
      stage: whose features are decomposed, the first one by default; only where codes are z.

    Returns:
      `Directions` whose values are the shares of variance explained.
    """
    key_fit, key_back, key_spread = jax.random.split(key, 3)
    chosen, stages = moved_layers(gan, layers)
    style, most = codes.style_based(gan), codes.code_shape(gan)[-1]
    if style and stage is not None:
        raise GanxError("a style-based generator's components are those of its styles; leave stage out")
    if k > most:
        raise GanxError(f"a code of {most} entries has no {k} independent directions; ask for {most} at most")
    if style:
        found = principal_components(lambda: styles(gan, key_fit, n), k)
        vectors, spread = found.vectors, _deviation(gan, key_spread, found)
    else:
        stage = stage or gan.stages[0]
        found = principal_components(lambda: (features for _, features in _features(gan, stage, key_fit, n)), k)
        vectors, spread = _back(gan, stage, key_back, n, found), np.ones(k)
    scales = spread.astype(np.float32)
    values = found.explained.astype(np.float32)
    return Directions(chosen, stages, vectors, values, code_space(gan), "ganspace", k, scales)


def own_coordinate(code: np.ndarray, direction: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """How far codes `[n, d]` lie along a unit direction from the mean `[d]`: what strips of figures first take off."""
    return (np.asarray(code) - mean) @ direction


def styles(gan: Gan, key: jax.Array, n: int) -> Iterator[jax.Array]:
    """At least `n` styles in batches `[m, d]` of one size."""
    size = min(_BATCH, n)
    for part in jax.random.split(key, -(-n // size)):
        yield _style_batch(gan, part, size)


@functools.partial(jax.jit, static_argnums=2)
def _style_batch(gan: Gan, key: jax.Array, n: int) -> jax.Array:
    key_z, key_label = jax.random.split(key)
    return codes.encode(gan, gan.latents(key_z, n), label=gan.labels(key_label, n))[:, 0]


def _features(gan: Gan, stage: str, key: jax.Array, n: int) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Latents `[m, d]` and flattened features `[m, f]` in batches."""
    size = max(1, min(n, 1024, _FEATURES // int(np.prod(gan.shapes[stage])))) if stage in gan.shapes else 1
    for part in jax.random.split(key, -(-n // size)):
        yield _feature_batch(gan, stage, part, size)


@functools.partial(jax.jit, static_argnums=(1, 3))
def _feature_batch(gan: Gan, stage: str, key: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
    key_z, key_label = jax.random.split(key)
    z = gan.latents(key_z, n)
    features = gan.until(stage, z, label=gan.labels(key_label, n)).features
    return z, features.reshape(n, -1).astype(jnp.float32)


def _deviation(gan: Gan, key: jax.Array, found: Components) -> np.ndarray:
    cloud = _style_batch(gan, key, SPREAD_SAMPLES)
    return np.asarray(_project(cloud, found.mean.astype(np.float32), found.vectors.T)).std(0)


def _back(gan: Gan, stage: str, key: jax.Array, n: int, found: Components) -> np.ndarray:
    """Unit directions `[k, d]` in z: least squares from standardised coordinates to the latents, streamed."""
    scale = found.vectors.T / np.maximum(found.deviations, 1e-12).astype(np.float32)
    mean = found.mean.astype(np.float32)
    k, d = len(found.vectors), gan.spec.latent[0]
    square, cross = np.zeros((k, k)), np.zeros((k, d))
    for z, features in _features(gan, stage, key, n):
        more = _products(z, features, mean, scale)
        square, cross = square + np.asarray(more[0], np.float64), cross + np.asarray(more[1], np.float64)
    rows = np.linalg.lstsq(square, cross, rcond=None)[0]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise GanxError(f"some components of {stage} do not depend on z; ask for fewer, or another stage")
    return (rows / lengths).astype(np.float32)


@jax.jit
def _project(x: jax.Array, mean: jax.Array, matrix: jax.Array) -> jax.Array:
    return jnp.matmul(x - mean, matrix, precision=jax.lax.Precision.HIGHEST)


@jax.jit
def _products(z: jax.Array, features: jax.Array, mean: jax.Array, scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    coordinates = _project(features, mean, scale)
    return (
        jnp.matmul(coordinates.T, coordinates, precision=jax.lax.Precision.HIGHEST),
        jnp.matmul(coordinates.T, z, precision=jax.lax.Precision.HIGHEST),
    )
