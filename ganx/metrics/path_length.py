"""Perceptual path length (Karras et al. 2019, §4.1): how far a picture moves, perceptually, for a small step in latent
space. Small where the latent space is smooth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ganx import codes
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.metrics.collect import sample

SPACES, SAMPLINGS = ("w", "z"), ("full", "end")
_STEPS = 0x7A7A
Distance = Callable[[jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class PathLength:
    """`mean` over the pairs between the 1st and the 99th percentile; `lengths` float32 `[n]` of all of them.

    `name` is the usual one, such as "ppl_wend" (cropped to the face) or "ppl2_wend" (whole pictures).
    """

    mean: float
    lengths: np.ndarray
    name: str


def path_length(
    gan: Gan,
    distance: Distance,
    *,
    count: int = 50_000,
    space: str = "w",
    sampling: str = "end",
    crop: bool = False,
    epsilon: float = 1e-4,
    batch: int = 16,
    seed: int = 0,
    mesh: Mesh | None = None,
) -> PathLength:
    """Mean of distance(G(t), G(t + ε)) / ε² over pairs of latents.

    Args:
      gan: any family; space "w" needs a style-based one.
      distance: of two batches of images float32 `[n, H, W, C]` in [-1, 1], `[n]`; LPIPS as published. Traceable.
      count: number of pairs.
      space: "w", straight lines between styles, or "z", great circles between latents.
      sampling: t uniform in [0, 1] ("full") or 0 ("end").
      crop: keep rows 3/8 to 7/8 and columns 2/8 to 6/8, where aligned faces are.
      epsilon: the step.
      batch: pairs at a time; pair i depends on the seed and on i alone.
      mesh: devices over which pairs are shared.

    Noise inputs are the stored ones, the same for both pictures. Pictures over 256 pixels are averaged down first.
    """
    for what, value, known in (("space", space, SPACES), ("sampling", sampling, SAMPLINGS)):
        if value not in known:
            raise unknown(what, value, known)
    if space == "w" and not codes.style_based(gan):
        raise GanxError(f"a {gan.spec.family} has no styles; use space='z'")
    if mesh is not None:
        gan = jax.device_put(gan, NamedSharding(mesh, PartitionSpec()))

    @jax.jit
    def lengths(gan: Gan, index: jax.Array) -> jax.Array:
        moved, label = _pairs(gan, seed, index, space, sampling, epsilon)
        images = codes.decode(gan, moved, None if label is None else jnp.concatenate([label, label]))
        a, b = jnp.split(_seen(images, crop), 2)
        return distance(a, b) / epsilon**2

    split = None if mesh is None else NamedSharding(mesh, PartitionSpec("data"))
    windows = [np.arange(i, i + batch, dtype=np.int32) for i in range(0, count, batch)]
    found = [lengths(gan, jnp.asarray(w) if split is None else jax.device_put(w, split)) for w in windows]
    each = np.concatenate([np.asarray(part) for part in found])[:count]
    return PathLength(trimmed_mean(each), each, f"ppl{'' if crop else '2'}_{space}{sampling}")


def trimmed_mean(values: np.ndarray) -> float:
    """Mean of what lies from the 1st percentile (the sample below it) to the 99th (the sample above it)."""
    low, high = np.percentile(values, 1, method="lower"), np.percentile(values, 99, method="higher")
    return float(values[(values >= low) & (values <= high)].mean(dtype=np.float64))


def _pairs(gan: Gan, seed: int, index: jax.Array, space: str, sampling: str, epsilon: float) -> tuple[jax.Array, Any]:
    """Codes at t and, behind them, at t + ε: `[2n, …]`; and the labels `[n]`."""
    n = len(index)
    z, label = sample(gan, seed, jnp.concatenate([2 * index, 2 * index + 1]))
    label = None if label is None else label[:n]
    base = jax.random.fold_in(jax.random.key(seed), _STEPS)
    t = jax.vmap(lambda i: jax.random.uniform(jax.random.fold_in(base, i)))(index) * (sampling == "full")
    both = None if label is None else jnp.concatenate([label, label])
    ends = codes.encode(gan, z, label=both) if space == "w" else z
    between = codes.lerp if space == "w" else codes.slerp
    t = t.reshape(-1, *[1] * (ends.ndim - 1))
    moved = jnp.concatenate([between(ends[:n], ends[n:], t + step) for step in (0.0, epsilon)])
    return (codes.encode(gan, moved, label=both) if space == "z" else moved), label


def _seen(images: jax.Array, crop: bool) -> jax.Array:
    if crop:
        c = images.shape[1] // 8
        images = images[:, 3 * c : 7 * c, 2 * c : 6 * c]
    factor = max(images.shape[1] // 256, 1)
    if factor > 1:
        n, h, w, channels = images.shape
        images = images.reshape(n, h // factor, factor, w // factor, factor, channels).mean((2, 4))
    return jnp.repeat(images, 3, -1) if images.shape[-1] == 1 else images
