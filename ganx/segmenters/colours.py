"""Colours as classes: the eleven basic terms of English, read by the nearest of their usual shades."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError
from ganx.segment import NONE

SHADES = {
    "black": ((15, 15, 15),),
    "grey": ((95, 95, 95), (150, 150, 150)),
    "white": ((225, 225, 225), (255, 255, 255)),
    "red": ((200, 25, 30), (130, 15, 20)),
    "orange": ((245, 130, 20),),
    "yellow": ((250, 225, 40), (200, 180, 50)),
    "green": ((40, 150, 60), (20, 80, 30), (150, 205, 110)),
    "blue": ((30, 80, 200), (15, 30, 90), (130, 185, 235)),
    "purple": ((120, 40, 150), (70, 20, 90), (170, 130, 205)),
    "pink": ((250, 150, 180), (225, 60, 135)),
    "brown": ((110, 65, 30), (60, 35, 20), (165, 120, 80)),
}
"""sRGB of 0 to 255. The terms are Berlin and Kay's (1969); the shades are ours."""
WIDTH = 15.0
"""Standard deviation of a shade in CIELAB, for probabilities; colours 2.3 apart are just told apart by people."""

_TERMS = tuple(SHADES)
_SHADES = np.array([shade for shades in SHADES.values() for shade in shades], np.float32) / 255
_TERM = np.array([i for i, shades in enumerate(SHADES.values()) for _ in shades])
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(pixels: Any) -> jax.Array:
    """CIELAB `[..., 3]` (D65) of sRGB `[..., 3]` in [0, 1]."""
    pixels = jnp.asarray(pixels, jnp.float32).clip(0, 1)
    # a power's slope is infinite at 0, and `where` would pass it on
    linear = jnp.where(pixels > 0.04045, ((jnp.maximum(pixels, 0.04045) + 0.055) / 1.055) ** 2.4, pixels / 12.92)
    x = jnp.einsum("...c,dc->...d", linear, (_XYZ / _XYZ.sum(1, keepdims=True)).astype(np.float32), precision="highest")
    least = (6 / 29) ** 3
    f = jnp.where(x > least, jnp.cbrt(jnp.maximum(x, least)), x / (3 * (6 / 29) ** 2) + 4 / 29)
    a, b, c = f[..., 0], f[..., 1], f[..., 2]
    return jnp.stack([116 * b - 16, 500 * (a - b), 200 * (b - c)], -1)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class BasicColours:
    """Labels every pixel of a colour picture with its colour; a `SoftSegmenter` of the category "color"."""

    on_device: ClassVar[bool] = True
    names: ClassVar[tuple[str, ...]] = (NONE, *_TERMS)
    categories: ClassVar[tuple[str, ...]] = ("color",) * (len(_TERMS) + 1)

    def __call__(self, images: jax.Array) -> jax.Array:
        """int32 `[n, H, W]` of images `[n, H, W, 3]`, float in [-1, 1] or uint8; never 0."""
        return jnp.asarray(_TERM, jnp.int32)[_distance(images).argmin(-1)] + 1

    def probability(self, images: jax.Array, label: int) -> jax.Array:
        """Share of a colour's shades in a softmax over all, float32 `[n, H, W]`."""
        chance = jax.nn.softmax(-_distance(images) / (2 * WIDTH**2))
        return chance[..., label - 1 == _TERM].sum(-1)


def _distance(images: jax.Array) -> jax.Array:
    """Squared distance to every shade in CIELAB, `[n, H, W, shades]`."""
    if images.shape[-1] != 3:
        raise GanxError(
            f"colours are read in pictures of 3 channels, not of {images.shape[-1]}; choose another segmenter"
        )
    if not jnp.issubdtype(images.dtype, jnp.floating):
        images = images.astype(jnp.float32) / 127.5 - 1
    return jnp.square(lab((images + 1) / 2)[..., None, :] - lab(_SHADES)).sum(-1)
