"""The painter's algorithm over signed distances, in one packed integer a pixel.

A pixel is `r | g << 8 | b << 16 | class << 24` in one int32, so that XLA emits a single fused loop over pixels
with one array to write. With hard edges a shape costs one comparison and one selection.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

EDGES = ("hard", "soft")


@dataclasses.dataclass(frozen=True)
class Layer:
    """One shape to paint.

    Attributes:
      distance: signed distance, float `[R, R]`.
      colour: red, green, blue in 0-255, `[3]`.
      part: index of the class that its pixels belong to.
      shown: whether it is painted at all, a (traced) boolean.
    """

    distance: jax.Array
    colour: jax.Array | np.ndarray
    part: int
    shown: bool | jax.Array = True


def grid(size: int) -> tuple[jax.Array, jax.Array]:
    """Pixel centres as x and y planes, float32 `[size, size]`, both in (-1, 1), x rightwards and y downwards."""
    centre = (jnp.arange(size, dtype=jnp.float32) + 0.5) * (2 / size) - 1
    return jnp.broadcast_to(centre[None], (size, size)), jnp.broadcast_to(centre[:, None], (size, size))


def paint(layers: Iterable[Layer], ground: Layer, pixel: float | jax.Array, edges: str = "hard") -> jax.Array:
    """Paints `layers` back to front over `ground`, whose distance is not looked at (only its shape).

    Args:
      pixel: side of one pixel in the units of the distances.
      edges: "hard": a shape covers a pixel if its distance there is negative. "soft": it covers the share
        clip(1/2 - distance / pixel, 0, 1) of it, and owns the pixel's class above one half.

    Returns:
      Packed pixels, int32 `[R, R]`.
    """
    draw = _paint_hard if edges == "hard" else _paint_soft
    return draw(list(layers), ground, pixel)


def pack(colour: jax.Array | np.ndarray | list[jax.Array], part: int | jax.Array) -> jax.Array:
    """One int32 for a colour, three integers 0-255 (or three planes of them), and a class index."""
    red, green, blue = (jnp.asarray(colour[i], jnp.int32) for i in range(3))
    return red | green << 8 | blue << 16 | jnp.asarray(part, jnp.int32) << 24


def unpack(packed: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Image, uint8 `[..., 3]`, and class mask, uint8 `[...]`, of packed pixels."""
    planes = jax.lax.bitcast_convert_type(_once(packed), jnp.uint8)
    return planes[..., :3], planes[..., 3]


def _once(packed: jax.Array) -> jax.Array:
    """`packed` unchanged, but worked out once, not again for every byte that is read from it.

    XLA repeats cheap work in each consumer, and optimisation barriers are gone by the time it decides. What it
    does not repeat is a division, and x / 1 is exact. Bit 30 makes every pixel, read as a float, a normal number.
    """
    number = jax.lax.bitcast_convert_type(packed | 1 << 30, jnp.float32)
    number = number / jnp.where(number == 0, 2.0, 1.0)  # never 0, but only we know
    return jax.lax.bitcast_convert_type(number, jnp.int32) ^ 1 << 30


def grain(packed: jax.Array, seed: jax.Array, most: int) -> jax.Array:
    """Packed pixels with noise, the same in all channels: whole steps from -most to most by an integer hash.

    Args:
      packed: int32 `[R, R]`.
      seed: a number in [0, 1).
    """
    rows, columns = (jax.lax.broadcasted_iota(jnp.uint32, packed.shape, axis) for axis in (0, 1))
    salt = (seed * 2**23).astype(jnp.uint32) * jnp.uint32(0xC2B2AE3D)
    mixed = columns * jnp.uint32(0x9E3779B1) + rows * jnp.uint32(0x85EBCA77) + salt
    mixed = (mixed ^ (mixed >> 15)) * jnp.uint32(0x2C1B3C6D)
    mixed = (mixed ^ (mixed >> 12)) * jnp.uint32(0x297A2D39)
    step = (((mixed >> 16) * (2 * most + 1)) >> 16).astype(jnp.int32) - most
    planes = [jnp.clip((packed >> shift & 255) + step, 0, 255) for shift in (0, 8, 16)]
    return pack(planes, packed >> 24)


def _paint_hard(layers: list[Layer], ground: Layer, pixel: float | jax.Array) -> jax.Array:
    packed = jnp.broadcast_to(pack(ground.colour, ground.part), ground.distance.shape)
    for layer in layers:
        # A hidden shape is moved out of reach: cheaper than a second test per pixel.
        reach = jnp.where(layer.shown, 0.0, -jnp.inf)
        packed = jnp.where(layer.distance < reach, pack(layer.colour, layer.part), packed)
    return packed


def _paint_soft(layers: list[Layer], ground: Layer, pixel: float | jax.Array) -> jax.Array:
    shape = ground.distance.shape
    planes = [jnp.full(shape, 1.0) * ground.colour[i] for i in range(3)]
    parts = jnp.full(shape, ground.part, jnp.int32)
    for layer in layers:
        cover = jnp.clip(0.5 - layer.distance * (1 / pixel), 0, 1) * layer.shown
        planes = [plane + cover * (layer.colour[i] - plane) for i, plane in enumerate(planes)]
        parts = jnp.where(cover > 0.5, layer.part, parts)
    return pack(jnp.round(jnp.stack(planes)).astype(jnp.int32), parts)
