"""The closed form: eigenvectors of AᵀA for the weights A through which the latent enters (Shen & Zhou 2021).

Rows are normalised one by one, so the Gram matrix of a stack of layers is the sum of the layers' own: all ranges of
layers cost one batched eigen-decomposition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.sefa.decompose import decompose
from ganx.sefa.directions import Directions, code_space
from ganx.sefa.layers import Layers
from ganx.sefa.weights import choose_layers, groups, layer_stages, layer_weights

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
    named = {"": layers}
    return factorize_many(gan, named, k, row_normalize, include_torgb, full, on_host)[""]


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
    stages = layer_stages(gan, include_torgb)
    named = every_range(gan) if ranges is None else ranges
    named = named if isinstance(named, Mapping) else {str(layers): layers for layers in named}
    chosen = {name: choose_layers(stages, layers) for name, layers in named.items()}
    source = _source(gan, include_torgb, on_host)
    pairs = jax.device_get(decompose(source, include_torgb, tuple(chosen.values()), row_normalize, full))
    found = {}
    for (name, layers), (values, vectors) in zip(chosen.items(), pairs, strict=True):
        rank = _rank(values, vectors.shape[1])
        keep = _kept(k, len(values) if full else rank)
        driven = tuple(stages[i] for i in layers)
        found[name] = Directions(layers, driven, vectors[:keep], values[:keep], code_space(gan), "sefa", rank)
    return found


def every_range(gan: Gan) -> dict[str, str]:
    """All layers, the groups of the authors (bottom, middle, top), and each layer by itself."""
    single = {f"layer {i}": str(i) for i in choose_layers(layer_stages(gan), "all")}
    return {"all": "all"} | groups(gan) | (single if len(single) > 1 else {})


def factorize_rows(
    rows: jax.Array | np.ndarray, k: int | None = None, row_normalize: bool = True, full: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues `[k]` and eigenvectors `[k, d]` of AᵀA for A = `rows` `[m, d]`, in decreasing order."""
    (pair,) = jax.device_get(decompose([jnp.asarray(rows)], "last", ((0,),), row_normalize, full))
    values, vectors = pair
    rank = _rank(values, vectors.shape[1])
    keep = _kept(k, len(values) if full else rank)
    return values[:keep], vectors[:keep]


def _rank(values: np.ndarray, d: int) -> int:
    if not np.isfinite(values).all():
        raise GanxError("the weights contain NaN or Inf; load a checkpoint from before the training broke down")
    rank = int((values > d * _EPS * max(float(values.max(initial=0.0)), 0.0)).sum())
    if rank == 0:
        raise GanxError("the weights through which the latent enters are all zero; load a trained generator")
    return rank


def _kept(k: int | None, most: int) -> int:
    if k is not None and k < 1:
        raise GanxError(f"asked for {k} directions; ask for one at least")
    return min(most, k or most)


def _source(gan: Gan, include_torgb: str, on_host: bool) -> Gan | list[jax.Array]:
    """What is decomposed: the generator where it is, or its rows on the host."""
    if not on_host or jax.default_backend() == "cpu":
        return gan
    try:
        host = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # the process was started with accelerators only
        return gan
    return jax.device_put(list(layer_weights(gan, include_torgb).values()), host)
