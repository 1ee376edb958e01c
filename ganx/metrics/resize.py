"""The four ways in which references bring images to a network's size, each as two small matrices.

    tf          TensorFlow 1's bilinear: no half-pixel shift, no antialiasing (source = dst * in / out)
    torch       PyTorch's bilinear: half-pixel centres, no antialiasing
    torch-aa    the same with antialiasing
    pil-cubic   Pillow's bicubic (Keys, a = -1/2) on float32, antialiased, channel by channel

Resizing is linear and separable, so rows and columns are two products: exact, differentiable, quick on matrix units.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import unknown

KINDS = ("tf", "torch", "torch-aa", "pil-cubic")
_HIGHEST = jax.lax.Precision.HIGHEST


def resize(images: jax.Array, size: tuple[int, int], kind: str) -> jax.Array:
    """Images `[n, h, w, c]` brought to `size` (height, width), float32 `[n, *size, c]` on the same scale.

    "pil-cubic" may leave the range a little; `ganx.metrics.presets` clips where the reference does.

    Raises:
      GanxError: there is no such kind.
    """
    rows, columns = (matrix(n, m, kind) for n, m in zip(images.shape[1:3], size, strict=True))
    x = images.astype(jnp.float32)
    # columns first: Pillow passes horizontally first, and float32 rounding follows
    x = jnp.einsum("nhwc,vw->nhvc", x, jnp.asarray(columns), precision=_HIGHEST)
    return jnp.einsum("nhwc,uh->nuwc", x, jnp.asarray(rows), precision=_HIGHEST)


@functools.lru_cache(maxsize=64)
def matrix(size: int, to: int, kind: str) -> np.ndarray:
    """Weights float32 `[to, size]` of every source pixel in every target pixel; rows sum to 1."""
    if kind not in KINDS:
        raise unknown("kind of resizing", kind, KINDS)
    scale = size / to
    if kind in ("tf", "torch"):
        at = np.arange(to) * scale if kind == "tf" else np.maximum((np.arange(to) + 0.5) * scale - 0.5, 0)
        return _between(at, size)
    kernel, support = (_cubic, 2.0) if kind == "pil-cubic" else (_triangle, 1.0)
    return _windowed(size, to, kernel, support)


def _between(at: np.ndarray, size: int) -> np.ndarray:
    """Linear interpolation at source positions `at`, the upper neighbour clamped."""
    low = np.minimum(np.floor(at).astype(int), size - 1)
    high, part = np.minimum(low + 1, size - 1), at - low
    weights = np.zeros((len(at), size))
    np.add.at(weights, (np.arange(len(at)), low), 1 - part)
    np.add.at(weights, (np.arange(len(at)), high), part)
    return weights.astype(np.float32)


def _windowed(size: int, to: int, kernel: Callable[[np.ndarray], np.ndarray], support: float) -> np.ndarray:
    """A kernel stretched by the reduction, cut off at the edges and normalised again."""
    scale = size / to
    stretch = max(scale, 1.0)
    centre = (np.arange(to) + 0.5) * scale
    first = np.maximum((centre - support * stretch + 0.5).astype(int), 0)
    last = np.minimum((centre + support * stretch + 0.5).astype(int), size)
    pixel = np.arange(size)
    weights = kernel((pixel + 0.5 - centre[:, None]) / stretch)
    weights = np.where((pixel >= first[:, None]) & (pixel < last[:, None]), weights, 0.0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: np.ndarray, a: float = -0.5) -> np.ndarray:
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
