"""Latent codes as editing sees them: z itself, or the W+ styles of a style-based generator.

A style-based generator is one whose first stage is `map`; its code is what that stage returns, `[layers, d]`
for one sample. Truncation belongs to the way from z to the code, so an edit of the code comes after it; so does the
class of a style-based generator, while any other needs its `label` again to draw.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Gan
from ganx.pictures import shrink, to_uint8

MAP = "map"
Label = jax.Array | np.ndarray | None
_PIXELS = 2**17  # of images that go through the generator together


def style_based(gan: Gan) -> bool:
    """Whether codes are W+ styles rather than z."""
    return gan.stages[0] == MAP


def code_shape(gan: Gan) -> tuple[int, ...]:
    """Shape of one sample's code."""
    return gan.shapes[MAP] if style_based(gan) else gan.spec.latent


def encode(gan: Gan, z: jax.Array, psi: float = 1.0, label: Label = None) -> jax.Array:
    """Codes `[n, *code_shape]` of latents; `psi` truncates styles and leaves other families alone.

    `label` is int32 `[n]`, `gan.labels(key, n)` for any; None for a GAN without classes.
    """
    return gan.until(MAP, z, psi=psi, label=label).features if style_based(gan) else z


def decode(gan: Gan, codes: jax.Array, label: Label = None) -> jax.Array:
    """Images float32 `[n, H, W, C]` of codes `[n, *code_shape]`, with the stored noise; `label` as for `encode`."""
    return gan.since(MAP, codes) if style_based(gan) else gan(codes, label=label)


def paint(gan: Gan, codes: jax.Array | np.ndarray, limit: int | None = None, label: Label = None) -> np.ndarray:
    """Pictures uint8 `[..., H, W, C]` of codes `[..., *code_shape]`.

    Everything goes through one compiled program of a fixed batch size, whatever the number of codes. Pictures
    with more than `limit` pixels a side are averaged down. `label` is that of `encode`, int32, of a shape that
    broadcasts against the codes' leading axes.
    """
    shape = code_shape(gan)
    lead = codes.shape[: len(codes.shape) - len(shape)]
    flat = np.asarray(codes).reshape(-1, *shape)
    size = int(np.clip(_PIXELS // gan.spec.resolution**2, 1, 32))
    parts = [_batches(flat, size)]
    if label is not None:
        parts.append(_batches(np.broadcast_to(np.asarray(label), lead).reshape(-1), size))
    batches = [_paint(gan, *batch) for batch in zip(*parts, strict=True)]
    pictures = np.concatenate([shrink(np.asarray(batch), limit or gan.spec.resolution) for batch in batches])
    return pictures[: len(flat)].reshape(*lead, *pictures.shape[1:])


def _batches(x: np.ndarray, size: int) -> np.ndarray:
    """`[batches, size, ...]`, the last one filled up with copies of the first row."""
    padded = np.concatenate([x, np.repeat(x[:1], -len(x) % size, axis=0)])
    return padded.reshape(-1, size, *x.shape[1:])


@jax.jit
def _paint(gan: Gan, codes: jax.Array, label: jax.Array | None = None) -> jax.Array:
    return to_uint8(decode(gan, codes, label))


encode_jit = jax.jit(encode)


def lerp(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """Straight line from `a` to `b`, both `[..., d]`; `t` in [0, 1] broadcasts against `[..., 1]`."""
    return a + (b - a) * t


def slerp(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """Great circle from `a` to `b`, both `[..., d]`, with the length interpolated (White 2016).

    Keeps a normal latent at a distance from the origin where the generator was trained.
    """
    length_a, length_b = (jnp.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    unit_a, unit_b = a / length_a, b / length_b
    angle = jnp.arccos(jnp.clip((unit_a * unit_b).sum(-1, keepdims=True), -1.0, 1.0))
    sine = jnp.sin(angle)
    near = sine < 1e-6  # parallel: the great circle is a point, and the ratio below 0/0
    safe = jnp.where(near, 1.0, sine)
    wa = jnp.where(near, 1.0 - t, jnp.sin((1.0 - t) * angle) / safe)
    wb = jnp.where(near, t, jnp.sin(t * angle) / safe)
    return (wa * unit_a + wb * unit_b) * lerp(length_a, length_b, t)
