"""Latent codes as editing sees them: z itself, or the W+ styles of a style-based generator.

A style-based generator is one whose first stage is `map`; its code is what that stage returns, `[layers, d]`
for one sample. Truncation belongs to the way from z to the code, so an edit of the code comes after it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Gan
from ganx.pictures import shrink, to_uint8

MAP = "map"
_PIXELS = 2**17  # of images that go through the generator together


def style_based(gan: Gan) -> bool:
    """Whether codes are W+ styles rather than z."""
    return gan.stages[0] == MAP


def code_shape(gan: Gan) -> tuple[int, ...]:
    """Shape of one sample's code."""
    return gan.shapes[MAP] if style_based(gan) else gan.spec.latent


def encode(gan: Gan, z: jax.Array, psi: float = 1.0) -> jax.Array:
    """Codes `[n, *code_shape]` of latents; `psi` truncates styles and leaves other families alone."""
    return gan.until(MAP, z, psi=psi).features if style_based(gan) else z


def decode(gan: Gan, codes: jax.Array) -> jax.Array:
    """Images float32 `[n, H, W, C]` of codes `[n, *code_shape]`, with the stored noise."""
    return gan.since(MAP, codes) if style_based(gan) else gan(codes)


def paint(gan: Gan, codes: jax.Array | np.ndarray, limit: int | None = None) -> np.ndarray:
    """Pictures uint8 `[..., H, W, C]` of codes `[..., *code_shape]`.

    Everything goes through one compiled program of a fixed batch size, whatever the number of codes. Pictures
    with more than `limit` pixels a side are averaged down.
    """
    shape = code_shape(gan)
    lead = codes.shape[: len(codes.shape) - len(shape)]
    flat = np.asarray(codes).reshape(-1, *shape)
    size = int(np.clip(_PIXELS // gan.spec.resolution**2, 1, 32))
    padded = np.concatenate([flat, np.repeat(flat[:1], -len(flat) % size, axis=0)])
    batches = [_paint(gan, batch) for batch in padded.reshape(-1, size, *shape)]
    pictures = np.concatenate([shrink(np.asarray(batch), limit or gan.spec.resolution) for batch in batches])
    return pictures[: len(flat)].reshape(*lead, *pictures.shape[1:])


@jax.jit
def _paint(gan: Gan, codes: jax.Array) -> jax.Array:
    return to_uint8(decode(gan, codes))


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
