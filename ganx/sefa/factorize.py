"""The closed form: eigenvectors of AᵀA for the weights A through which the latent enters (Shen & Zhou 2021)."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.sefa.layers import Layers, parse_layers


@dataclasses.dataclass(frozen=True)
class Directions:
    """Directions in the code to which the generator reacts most, the strongest first.

    Attributes:
      layers: indices of the layers whose weights were factorised together, and which an edit moves.
      stages: the stages that those layers drive.
      vectors: float32 `[k, d]`, orthonormal; the entry of largest magnitude is positive.
      values: float32 `[k]`, eigenvalues in decreasing order: squared reaction to a step of length one.
    """

    layers: tuple[int, ...]
    stages: tuple[str, ...]
    vectors: np.ndarray
    values: np.ndarray


def factorize(gan: Gan, layers: Layers = "all", k: int | None = None, row_normalize: bool = True) -> Directions:
    """SeFa directions of a generator: no samples, no training, no randomness.

    Args:
      gan: any family.
      layers: which style layers (see `parse_layers`); families that take z at one place have the layer 0 only.
      k: how many directions at most; never more than the rank of the weights.
      row_normalize: give every row of the weights length one first, as the authors' code does (their formula
        does not). Rows of zeros stay zero.

    Returns:
      `Directions` with unit vectors in z, or in W for style-based families.
    """
    matrices = gan.module.apply(gan.variables, method="style_matrices")
    chosen = parse_layers(layers, len(matrices))
    stages = tuple(list(matrices)[index] for index in chosen)
    values, vectors = factorize_rows(jnp.concatenate([matrices[stage] for stage in stages]), k, row_normalize)
    return Directions(chosen, stages, vectors, values)


def factorize_rows(rows: jax.Array, k: int | None = None, row_normalize: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues `[k]` and eigenvectors `[k, d]` of AᵀA for A = `rows` `[m, d]`, in decreasing order."""
    values, vectors = (np.asarray(x) for x in _eigen(rows, row_normalize))
    if not np.isfinite(values).all():
        raise GanxError("the weights contain NaN or Inf; load a checkpoint from before the training broke down")
    rank = int((values > len(values) * np.finfo(np.float32).eps * max(values[0], 0.0)).sum())
    if rank == 0:
        raise GanxError("the weights through which the latent enters are all zero; load a trained generator")
    keep = min(rank, k or rank)
    return values[:keep], vectors[:keep]


@functools.partial(jax.jit, static_argnums=1)
def _eigen(rows: jax.Array, row_normalize: bool) -> tuple[jax.Array, jax.Array]:
    rows = rows.astype(jnp.float32)
    if row_normalize:
        norms = jnp.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / jnp.where(norms == 0, 1.0, norms)
    gram = jnp.matmul(rows.T, rows, precision=jax.lax.Precision.HIGHEST)
    values, columns = jnp.linalg.eigh(gram, symmetrize_input=False)
    vectors = columns.T[::-1]
    largest = jnp.take_along_axis(vectors, jnp.abs(vectors).argmax(1)[:, None], 1)
    return values[::-1], vectors * jnp.where(largest < 0, -1.0, 1.0)
