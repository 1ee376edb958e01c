"""A generator's samples in batches: drawn, painted and scored by one compiled program, sharded over the devices."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from ganx import codes
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.sefa import space as spaces
from ganx.sefa.predictors import Predictor
from ganx.training.mesh import batched, make_mesh, replicated

_PIXELS = 2**19  # of images in one batch


class Samples(NamedTuple):
    """Latents `[n, *latent]`, codes that edits start from `[n, *code_shape]`, classes int32 `[n]` or None.

    `psi` and `cutoff` are how styles were truncated on the way from the latents to the codes.
    """

    z: np.ndarray
    codes: np.ndarray
    label: np.ndarray | None
    psi: float = 1.0
    cutoff: int | None = None


def draw_samples(
    gan: Gan, key: jax.Array, n: int, psi: float = 1.0, cutoff: int | None = None, batch: int = 4096
) -> Samples:
    """`n` samples from the family's prior, mapped and truncated as `ganx.sefa.space.start` does."""
    if n < 1:
        raise GanxError(f"asked for {n} samples; ask for one at least")
    key_z, key_label = jax.random.split(key)
    drawn = gan.labels(key_label, n)
    z = np.asarray(gan.latents(key_z, n))
    return begin(gan, z, None if drawn is None else np.asarray(drawn), psi, cutoff, batch)


def begin(
    gan: Gan, z: np.ndarray, label: np.ndarray | None, psi: float = 1.0, cutoff: int | None = None, batch: int = 4096
) -> Samples:
    """Samples of latents `[n, *latent]` and classes int32 `[n]` (None without classes)."""
    n, parts = len(z), []
    for rows in batch_rows(n, min(batch, n)):
        begun = _start(gan, z[rows], psi, cutoff, None if label is None else label[rows])
        parts.append(np.asarray(begun))
    return Samples(z, np.concatenate(parts)[:n], label, psi, cutoff)


def batch_rows(n: int, size: int) -> Iterator[np.ndarray]:
    """Row numbers `[size]` of each batch; the last one starts over, and what is past `n` is to be cut off."""
    for first in range(0, n, size):
        yield np.arange(first, first + size) % n


def batch_size(gan: Gan, n: int, side: int = 0) -> int:
    """How many pictures go together, a multiple of the number of devices; `side` as in `Predictor`."""
    devices = jax.local_device_count()
    size = int(np.clip(_PIXELS // max(gan.spec.resolution, side) ** 2, 1, 256))
    return -(-min(size, n) // devices) * devices


def score_codes(gan: Gan, predictor: Predictor, code: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
    """Scores float32 `[n, columns]` of codes `[n, *code_shape]` (or a z for each layer, see `space.decode`)."""
    size = batch_size(gan, len(code), predictor.side)
    mesh = make_mesh(jax.local_devices())
    sharding = batched(mesh)
    if mesh.size > 1:
        gan = jax.device_put(gan, replicated(mesh))
    parts = []
    for rows in batch_rows(len(code), size):
        batch = jax.device_put((code[rows], None if label is None else label[rows]), sharding)
        parts.append(_score(gan, predictor, *batch))
    scores = np.concatenate([np.asarray(part) for part in parts])[: len(code)]
    if not np.isfinite(scores).all():
        bad = [predictor.columns[i] for i in np.flatnonzero(~np.isfinite(scores).all(0))]
        raise GanxError(f"scores of {', '.join(bad[:5])} contain NaN or Inf; give another predictor, or a trained GAN")
    return scores


@functools.partial(jax.jit, static_argnums=(2, 3))
def _start(gan: Gan, z: jax.Array, psi: float, cutoff: int | None, label: jax.Array | None) -> jax.Array:
    return spaces.start(gan, z, psi, cutoff, label)


@functools.partial(jax.jit, static_argnums=1)
def _score(gan: Gan, predictor: Predictor, code: jax.Array, label: jax.Array | None) -> jax.Array:
    return predictor.score(spaces.decode(gan, code, label))


def one_code(gan: Gan, code: np.ndarray) -> np.ndarray:
    """`[n, d]` of codes: of styles the first layer, which equals the others where nothing was truncated or mixed."""
    return code[:, 0] if codes.style_based(gan) else code
