"""The closed form: eigenvectors of AᵀA for the weights A through which the latent enters (Shen & Zhou 2021).

Rows are normalised one by one, so the Gram matrix of a stack of layers is the sum of the layers' own: all ranges of
layers cost one batched eigen-decomposition.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.sefa.directions import Directions, code_space, signed
from ganx.sefa.layers import Layers
from ganx.sefa.weights import choose_layers, groups, layer_weights

_EPS = float(np.finfo(np.float32).eps)


def factorize(
    gan: Gan,
    layers: Layers = "all",
    k: int | None = None,
    row_normalize: bool = True,
    include_torgb: str = "last",
    full: bool = False,
    on_host: bool = True,
) -> Directions:
    """SeFa directions of a generator: no samples, no training, no randomness.

    Published variants: the authors' code is the default; their formula, and rosinality's code, have
    `row_normalize=False`, and the latter `include_torgb="first"`.

    Args:
      gan: any family.
      layers: which layers, factorised together (see `parse_layers`); families that take z at one place have the
        layer 0 only. "all" leaves StyleGAN3's layer 0, which places the picture, out.
      k: how many directions at most; never more than the rank of the weights.
      row_normalize: give every row of the weights length one first, as the authors' code does (their formula
        does not). Rows of zeros stay zero.
      include_torgb: see `layer_weights`.
      full: return directions beyond the rank too, to which the chosen layers do not react.
      on_host: decompose on the CPU, where there is one beside the accelerator: the problem is tiny.

    Returns:
      `Directions` with unit vectors in z, or in W for style-based families.

    Raises:
      GanxError: layers that do not exist; weights that are all zero, or not finite.
    """
    matrices = layer_weights(gan, include_torgb)
    chosen = choose_layers(tuple(matrices), layers)
    rows = [matrices[stage] for stage in _stages(matrices, chosen)]
    values, vectors = _host(_eigen_stack(_placed(rows, on_host), row_normalize))
    return _directions(gan, matrices, chosen, values, vectors, k, full)


def factorize_many(
    gan: Gan,
    ranges: Mapping[str, Layers] | Sequence[Layers] | None = None,
    k: int | None = None,
    row_normalize: bool = True,
    include_torgb: str = "last",
    full: bool = False,
    on_host: bool = True,
) -> dict[str, Directions]:
    """`factorize` for many ranges of layers in one batched eigen-decomposition.

    Args:
      ranges: layers by name, or a sequence of layers, named by their text; None for `every_range(gan)`.

    Returns:
      `Directions` by name; other arguments and errors as for `factorize`.
    """
    matrices = layer_weights(gan, include_torgb)
    named = every_range(gan) if ranges is None else ranges
    named = named if isinstance(named, Mapping) else {str(layers): layers for layers in named}
    chosen = {name: choose_layers(tuple(matrices), layers) for name, layers in named.items()}
    masks = np.zeros((len(chosen), len(matrices)), np.float32)
    for row, indices in enumerate(chosen.values()):
        masks[row, list(indices)] = 1
    values, vectors = _host(_eigen_ranges(_placed(list(matrices.values()), on_host), masks, row_normalize))
    return {
        name: _directions(gan, matrices, indices, values[i], vectors[i], k, full)
        for i, (name, indices) in enumerate(chosen.items())
    }


def every_range(gan: Gan) -> dict[str, str]:
    """All layers, the groups of the authors (bottom, middle, top), and each layer by itself."""
    single = {f"layer {i}": str(i) for i in range(len(layer_weights(gan)))}
    return {"all": "all"} | groups(gan) | (single if len(single) > 1 else {})


def factorize_rows(
    rows: jax.Array | np.ndarray, k: int | None = None, row_normalize: bool = True, full: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues `[k]` and eigenvectors `[k, d]` of AᵀA for A = `rows` `[m, d]`, in decreasing order."""
    values, vectors = _host(_eigen_stack([jnp.asarray(rows)], row_normalize))
    keep = _kept(values, k, full)
    return values[:keep], vectors[:keep]


def _directions(
    gan: Gan,
    matrices: Mapping[str, jax.Array],
    chosen: tuple[int, ...],
    values: np.ndarray,
    vectors: np.ndarray,
    k: int | None,
    full: bool,
) -> Directions:
    keep, rank = _kept(values, k, full), _rank(values)
    stages = _stages(matrices, chosen)
    return Directions(chosen, stages, vectors[:keep], values[:keep], code_space(gan), "sefa", rank)


def _stages(matrices: Mapping[str, jax.Array], chosen: tuple[int, ...]) -> tuple[str, ...]:
    names = list(matrices)
    return tuple(names[index] for index in chosen)


def _kept(values: np.ndarray, k: int | None, full: bool) -> int:
    if not np.isfinite(values).all():
        raise GanxError("the weights contain NaN or Inf; load a checkpoint from before the training broke down")
    if k is not None and k < 1:
        raise GanxError(f"asked for {k} directions; ask for one at least")
    rank = _rank(values)
    if rank == 0:
        raise GanxError("the weights through which the latent enters are all zero; load a trained generator")
    most = len(values) if full else rank
    return min(most, k or most)


def _rank(values: np.ndarray) -> int:
    return int((values > len(values) * _EPS * max(float(values[0]), 0.0)).sum())


def _host(found: tuple[jax.Array, jax.Array]) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = jax.device_get(found)
    return values, vectors


def _placed(rows: list[jax.Array], on_host: bool) -> list[jax.Array]:
    if not on_host or jax.default_backend() == "cpu":
        return rows
    try:
        host = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # the process was started with accelerators only
        return rows
    return jax.device_put(rows, host)


def _gram(rows: jax.Array, row_normalize: bool) -> jax.Array:
    rows = rows.astype(jnp.float32)
    if row_normalize:
        norms = jnp.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / jnp.where(norms == 0, 1.0, norms)
    return jnp.matmul(rows.T, rows, precision=jax.lax.Precision.HIGHEST)


def _decompose(gram: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues `[..., d]`, decreasing, and eigenvectors `[..., d, d]` as rows, of Gram matrices `[..., d, d]`."""
    values, columns = jnp.linalg.eigh(jax.lax.stop_gradient(gram), symmetrize_input=False)
    return values[..., ::-1], signed(jnp.swapaxes(columns, -1, -2)[..., ::-1, :])


@functools.partial(jax.jit, static_argnums=1)
def _eigen_stack(rows: list[jax.Array], row_normalize: bool) -> tuple[jax.Array, jax.Array]:
    return _decompose(_gram(jnp.concatenate(rows), row_normalize))


@functools.partial(jax.jit, static_argnums=2)
def _eigen_ranges(rows: list[jax.Array], masks: np.ndarray, row_normalize: bool) -> tuple[jax.Array, jax.Array]:
    """Batched over the ranges, masks `[ranges, layers]`."""
    grams = jnp.stack([_gram(layer, row_normalize) for layer in rows])
    return _decompose(jnp.einsum("rl,lij->rij", masks, grams, precision=jax.lax.Precision.HIGHEST))
