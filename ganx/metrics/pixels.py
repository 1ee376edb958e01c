"""Pixel by pixel: error, PSNR and structural similarity. Images `[n, H, W, C]` on a scale of width `span`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError

_WINDOW, _SIGMA = 11, 1.5


def mse(a: jax.Array, b: jax.Array) -> jax.Array:
    """Mean squared error of each pair, float32 `[n]`."""
    return jnp.square(a.astype(jnp.float32) - b.astype(jnp.float32)).mean((1, 2, 3))


def mae(a: jax.Array, b: jax.Array) -> jax.Array:
    """Mean absolute error of each pair, float32 `[n]`."""
    return jnp.abs(a.astype(jnp.float32) - b.astype(jnp.float32)).mean((1, 2, 3))


def psnr(a: jax.Array, b: jax.Array, span: float = 2.0) -> jax.Array:
    """Peak signal-to-noise ratio of each pair in dB, float32 `[n]`; infinite for equal pictures.

    `span` is the width of the scale: 2 for images in [-1, 1], 255 for uint8.
    """
    return 10.0 * jnp.log10(span**2 / mse(a, b))


def ssim(a: jax.Array, b: jax.Array, span: float = 2.0) -> jax.Array:
    """Structural similarity (Wang et al. 2004) of each pair, float32 `[n]`, 1 for equal pictures.

    A Gaussian window of 11 pixels and deviation 1.5, constants (0.01 span)² and (0.03 span)², population variances,
    channels and the positions where the whole window fits averaged.

    Raises:
      GanxError: pictures smaller than the window.
    """
    if min(a.shape[1:3]) < _WINDOW:
        raise GanxError(
            f"pictures of {a.shape[1]} x {a.shape[2]} are smaller than SSIM's window of {_WINDOW}; use psnr"
        )
    x, y = a.astype(jnp.float32), b.astype(jnp.float32)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    shared = _blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (light * (2 * shared + c2) / (var_x + var_y + c2)).mean((1, 2, 3))


def _blur(x: jax.Array) -> jax.Array:
    """The window's weighted mean, as two banded products."""
    rows, columns = (jnp.asarray(_band(n)) for n in x.shape[1:3])
    highest = jax.lax.Precision.HIGHEST
    x = jnp.einsum("nhwc,uh->nuwc", x, rows, precision=highest)
    return jnp.einsum("nuwc,vw->nuvc", x, columns, precision=highest)


def _band(n: int) -> np.ndarray:
    taps = np.exp(-0.5 * ((np.arange(_WINDOW) - _WINDOW // 2) / _SIGMA) ** 2)
    taps /= taps.sum()
    band = np.zeros((n - _WINDOW + 1, n), np.float32)
    for i in range(len(band)):
        band[i, i : i + _WINDOW] = taps
    return band
