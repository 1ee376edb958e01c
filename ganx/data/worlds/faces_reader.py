"""Attributes of a face picture, read off its colours by fixed rules: nothing is trained."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ganx.data.worlds.oracle import Palette, histogram

SMILE = -1.2
"""Curvature of the mouth, y'' / 2 in frame units, below which it smiles: midway between the least bent smile
and the most bent neutral mouth of 256 renders."""

HAIRLINE = -0.285
"""Height of the hairline over the middle between crown and chin (y downwards) above which there are no bangs:
midway between -0.225 with and -0.345 without them."""

SHORT_RISE = 0.04
"""Short hair stands 0.08 higher than the crown of long hair, which moves that middle by half as much."""


def read(palette: Palette, classes: tuple[str, ...], images: jax.Array) -> dict[str, jax.Array]:
    """Attributes of face pictures.

    Args:
      palette: colours of the faces world.
      classes: its class names.
      images: `[n, R, R, 3]`, uint8, or float in [-1, 1].

    Returns:
      int32 `[n]` value indices by attribute name.
    """
    entries = palette.entries(images)
    counts = histogram(entries, len(palette.parts))
    found = jnp.asarray(palette.parts)[entries]
    part = {name: found == i for i, name in enumerate(classes)}
    area = (entries.shape[1] / 64) ** 2  # thresholds count pixels of a 64 × 64 picture
    votes = {name: palette.vote(counts, name) for name in ("hair", "skin", "background", "clothes")}
    long = _beside_the_chin(part["hair"]) > 40 * area
    flags = {
        "smile": _curvature(part["lips"] | part["teeth"]) < SMILE,
        "glasses": palette.total(counts, "glasses") > 8 * area,
        "wrinkles": palette.total(counts, "wrinkles") > 3 * area,
        "hair_length": long,
        "bangs": _hairline(part) - jnp.where(long, 0, SHORT_RISE) > HAIRLINE,
    }
    return votes | {name: flag.astype(jnp.int32) for name, flag in flags.items()}


def _beside_the_chin(hair: jax.Array) -> jax.Array:
    """Hair pixels between 5/8 and 7/8 of the picture's height, `[n]`."""
    size = hair.shape[1]
    return hair[:, 5 * size // 8 : 7 * size // 8].sum((1, 2))


def _centres(size: int) -> jax.Array:
    return (jnp.arange(size) + 0.5) * (2 / size) - 1


def _mean(weights: jax.Array, values: jax.Array) -> jax.Array:
    """Mean of `values` over the pixels in `weights`, `[n, 1, 1]`; 0 where there are none."""
    total = jnp.maximum(weights.sum((1, 2), keepdims=True), 1)
    return (weights * values).sum((1, 2), keepdims=True) / total


def _curvature(mouth: jax.Array) -> jax.Array:
    """Leading coefficient of the least-squares parabola y(x) through the mouth's pixels, `[n]`."""
    centres = _centres(mouth.shape[1])
    x, y = centres[None, None], centres[None, :, None]
    x = x - _mean(mouth, x)
    y = y - _mean(mouth, y)
    m2, m3, m4 = (_mean(mouth, x**k) for k in (2, 3, 4))
    bend = _mean(mouth, x * x * y) * m2 - _mean(mouth, x * y) * m3
    spread = m2 * (m4 - m2**2) - m3**2
    return (bend / jnp.maximum(spread, 1e-12))[:, 0, 0]


def _hairline(part: dict[str, jax.Array]) -> jax.Array:
    """Height of the hairline over the middle between crown and chin, frame units, y downwards, `[n]`.

    Crown and chin lie symmetric about one height whatever the face's length, so this is free of identity and
    shift. Both lengths are counted over a strip of columns, which is finer than a pixel.
    """
    hair, around = part["hair"], part["background"] | part["clothes"] | part["neck"] | part["ears"]
    size = hair.shape[1]
    x, y = _centres(size)[None, None], _centres(size)[None, :, None]
    face = ~(around | hair)
    strip = jnp.abs(x - _mean(face, x)) < 0.13
    depth = hair & strip & (y < _mean(face, y))
    columns = jnp.maximum(strip.sum((1, 2)), 1)
    length = (depth | face & strip).sum((1, 2))
    return (depth.sum((1, 2)) - length / 2) / columns * (2 / size)
