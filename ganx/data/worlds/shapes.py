"""Signed distances to plane shapes: negative inside, in the units of the frame.

Every function takes pixel coordinates `x` (rightwards) and `y` (downwards) as float arrays of one shape and
returns an array of that shape. Scalars may be traced. `jnp.minimum` of two distances is the union of their
shapes, `jnp.maximum` the intersection.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

Scalar = float | jax.Array


def disc(x: jax.Array, y: jax.Array, cx: Scalar, cy: Scalar, radius: Scalar) -> jax.Array:
    """Disc around (cx, cy)."""
    return jnp.sqrt((x - cx) ** 2 + (y - cy) ** 2) - radius


def ellipse(x: jax.Array, y: jax.Array, cx: Scalar, cy: Scalar, a: Scalar, b: Scalar) -> jax.Array:
    """Ellipse with semi-axes `a` (along x) and `b`; the distance is exact in sign, approximate in size."""
    u, v = (x - cx) * (1 / a), (y - cy) * (1 / b)
    return (jnp.sqrt(u * u + v * v) - 1) * jnp.minimum(a, b)


def box(x: jax.Array, y: jax.Array, cx: Scalar, cy: Scalar, a: Scalar, b: Scalar, radius: Scalar = 0.0) -> jax.Array:
    """Box with half sides `a` and `b`, its corners rounded by `radius`."""
    u, v = jnp.abs(x - cx) - (a - radius), jnp.abs(y - cy) - (b - radius)
    outside = jnp.sqrt(jnp.maximum(u, 0) ** 2 + jnp.maximum(v, 0) ** 2)
    return outside + jnp.minimum(jnp.maximum(u, v), 0) - radius


def triangle(x: jax.Array, y: jax.Array, cx: Scalar, base: Scalar, a: Scalar, height: Scalar) -> jax.Array:
    """Isosceles triangle pointing up: half base `a` on the line y = `base`, apex `height` above it."""
    slant = (jnp.abs(x - cx) * height - (y - base + height) * a) * (1 / jnp.sqrt(a * a + height * height))
    return jnp.maximum(slant, y - base)


def segment(x: jax.Array, y: jax.Array, ax: Scalar, ay: Scalar, bx: Scalar, by: Scalar, radius: Scalar) -> jax.Array:
    """Segment from (ax, ay) to (bx, by), as thick as a pen of that radius, with round ends."""
    return jnp.sqrt(squared_to_segment(x, y, ax, ay, bx, by)) - radius


def squared_to_segment(x: jax.Array, y: jax.Array, ax: Scalar, ay: Scalar, bx: Scalar, by: Scalar) -> jax.Array:
    """Squared distance to a segment; leave the root to the caller, who may have many to compare."""
    dx, dy = bx - ax, by - ay
    px, py = x - ax, y - ay
    along = (px * dx + py * dy) * (1 / (dx * dx + dy * dy + 1e-12))
    along = jnp.clip(along, 0, 1)
    return (px - along * dx) ** 2 + (py - along * dy) ** 2
