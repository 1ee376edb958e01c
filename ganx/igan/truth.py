"""The true parts of generated images, for a generator that was trained on a world: what people had to draw by hand."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from ganx.data import open_source
from ganx.data.worlds import PictureWorld
from ganx.data.worlds.faces import SUPER, Faces
from ganx.gan import Gan


def world_of(gan: Gan, source: str = "") -> PictureWorld | None:
    """The world that a generator learned from, at its size; None if it was none, or one without colour."""
    source = source or gan.spec.data
    if not source.startswith("world:") or gan.spec.channels != 3:
        return None
    world = open_source(source)
    return dataclasses.replace(world, size=gan.spec.resolution) if isinstance(world, PictureWorld) else None


def part_names(world: PictureWorld) -> tuple[str, ...]:
    """What people call the parts: for faces the 11 of `SUPER`, else the world's classes."""
    return tuple(name for name, _ in SUPER) if isinstance(world, Faces) else world.CLASSES


@functools.partial(jax.jit, static_argnums=0)
def part_masks(world: PictureWorld, images: jax.Array) -> jax.Array:
    """Where each part is, read off the pixels: bool `[n, parts, H, W]`; images `[n, H, W, 3]` in [-1, 1]."""
    classes = world.oracle(images)
    classes = world.to_super(classes) if isinstance(world, Faces) else classes
    return (classes[..., None] == jnp.arange(len(part_names(world)))).transpose(0, 3, 1, 2)


def grown(masks: jax.Array, by: int) -> jax.Array:
    """Masks `[..., H, W]` and all pixels at most `by` away from them."""
    window = (1,) * (masks.ndim - 2) + (2 * by + 1,) * 2
    return jax.lax.reduce_window(masks.astype(jnp.float32), 0.0, jax.lax.max, window, (1,) * masks.ndim, "SAME") > 0
