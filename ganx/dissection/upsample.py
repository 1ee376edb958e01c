"""Feature maps at the segmentation's resolution: bilinear, half-pixel centres, as two small matrices (§2.1)."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PADDINGS = ("border", "zeros")


@functools.lru_cache(maxsize=64)
def matrix(source: int, target: int, padding: str = "border") -> np.ndarray:
    """float32 `[target, source]`: row t interpolates at `(t + 0.5) * source / target - 0.5`.

    Args:
      padding: what lies outside the map: the value at its edge ("border") or zero ("zeros").
    """
    at = (np.arange(target) + 0.5) * (source / target) - 0.5
    if padding == "border":
        at = at.clip(0, source - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(source)))
    weights.setflags(write=False)
    return weights.astype(np.float32)


@functools.partial(jax.jit, static_argnames=("size", "padding"))
def upsample(features: Any, size: tuple[int, int], padding: str = "border") -> jax.Array:
    """`[..., h, w, U]` to `[..., U, H, W]`: channels first, since every unit is a picture from here on."""
    rows = matrix(features.shape[-3], size[0], padding)
    columns = matrix(features.shape[-2], size[1], padding)
    wide = jnp.einsum("...hwu,Ww->...uhW", features, columns, precision="highest")
    return jnp.einsum("...uhW,Hh->...uHW", wide, rows, precision="highest")
