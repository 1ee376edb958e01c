"""The colour oracle: which class a pixel belongs to, by its nearest palette colour, and what masks add up to."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

Colours = dict[str, tuple[tuple[int, int, int], ...]]


class Palette:
    """Colours of a world, one row an entry: `colours` int32 `[E, 3]` and their class indices `parts` `[E]`."""

    def __init__(self, colours: Colours, classes: tuple[str, ...]) -> None:
        rows = [(colour, classes.index(part)) for part, group in colours.items() for colour in group]
        self.colours = np.asarray([colour for colour, _ in rows], np.int32)
        self.parts = np.asarray([part for _, part in rows], np.int32)
        self.groups = {part: np.flatnonzero(self.parts == classes.index(part)) for part in colours}

    def entries(self, images: jax.Array) -> jax.Array:
        """Row of the nearest colour, int32 `[n, R, R]`; the first of equals."""
        return _nearest(images, self.colours, np.arange(len(self.parts)))

    def classes(self, images: jax.Array) -> jax.Array:
        """Class of the nearest colour, uint8 `[n, R, R]`."""
        return _nearest(images, self.colours, self.parts).astype(jnp.uint8)

    def counts(self, images: jax.Array) -> jax.Array:
        """Number of pixels nearest to each colour, int32 `[n, E]`."""
        return histogram(self.entries(images), len(self.parts))

    def vote(self, counts: jax.Array, part: str) -> jax.Array:
        """Which of a class's colours most pixels are nearest to, int32 `[n]`, from `counts`."""
        return jnp.argmax(counts[:, self.groups[part]], axis=1).astype(jnp.int32)

    def total(self, counts: jax.Array, part: str) -> jax.Array:
        """How many pixels are nearest to any of a class's colours, int32 `[n]`, from `counts`."""
        return counts[:, self.groups[part]].sum(1)

    def least_distance(self) -> float:
        """Smallest distance in RGB between two colours of different classes."""
        apart = np.linalg.norm(self.colours[:, None] - self.colours[None], axis=-1)
        return float(apart[self.parts[:, None] != self.parts[None]].min())


def shares(mask: jax.Array, classes: int) -> jax.Array:
    """Share of each class among the pixels of a mask, uint8 `[n, R, R]` -> float32 `[n, classes]`.

    Pixels at 255 (unknown) do not count; a mask without any other pixel has shares of 0.
    """
    counts = histogram(mask, classes).astype(jnp.float32)
    return counts / jnp.maximum(counts.sum(1, keepdims=True), 1)


def histogram(labels: jax.Array, classes: int) -> jax.Array:
    """How often each of 0 .. classes - 1 occurs in every `[R, R]` of labels `[n, R, R]`: int32 `[n, classes]`."""
    flat = jnp.asarray(labels).reshape(len(labels), -1, 1).astype(jnp.int32)
    return (flat == jnp.arange(classes)).sum(1, dtype=jnp.int32)


def to_bytes(images: jax.Array) -> jax.Array:
    """Images as integers 0-255, int32: uint8 as they are, floats from [-1, 1]."""
    images = jnp.asarray(images)
    if jnp.issubdtype(images.dtype, jnp.floating):
        images = jnp.clip(jnp.round((images.astype(jnp.float32) + 1) * 127.5), 0, 255)
    return images.astype(jnp.int32)


def _nearest(images: jax.Array, colours: np.ndarray, tags: np.ndarray) -> jax.Array:
    """Tag of the nearest colour. A running minimum over `64 (|c|² - 2 x·c) + tag`, exact in integers."""
    red, green, blue = jnp.moveaxis(to_bytes(images), -1, 0)
    best = jnp.full(red.shape, np.iinfo(np.int32).max, jnp.int32)
    for (r, g, b), tag in zip(colours.tolist(), tags.tolist(), strict=True):
        key = 64 * (r * r + g * g + b * b) + tag - (128 * r * red + 128 * g * green + 128 * b * blue)
        best = jnp.minimum(best, key)
    return best & 63
