"""What both networks of StyleGAN2 use: channel counts, precision by resolution, the clamp."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models.layers import lrelu

ARCHITECTURES = ("skip", "orig", "resnet")
DTYPES = ("float32", "bfloat16", "float16")


def channels_at(resolution: int, base: int, limit: int, widths: tuple[int, ...] = ()) -> int:
    """Channels of the maps at a resolution: min(base / resolution, limit), or `widths` from 4 pixels up if given."""
    return widths[resolution.bit_length() - 3] if widths else min(base // resolution, limit)


def dtype_at(resolution: int, top: int, dtype: str, half_res: int, half_dtype: str) -> str:
    """What convolutions at `resolution` compute in: `half_dtype` at the `half_res` highest ones, but for 4 pixels."""
    return half_dtype if resolution >= max(2 * top >> half_res, 8) else dtype


def activated(x: jax.Array, clamp: float) -> jax.Array:
    """Leaky ReLU times sqrt(2), clipped to [-clamp, clamp] unless `clamp` is 0 (Karras et al. 2020b, appendix)."""
    return clipped(lrelu(x), clamp)


def clipped(x: jax.Array, clamp: float) -> jax.Array:
    """`x` clipped to [-clamp, clamp], or as it is where `clamp` is 0."""
    return jnp.clip(x, -clamp, clamp) if clamp else x


def check(resolution: int, architecture: str, half_dtype: str, widths: tuple[int, ...], base: int, limit: int) -> None:
    """Refuses what no StyleGAN2 is made of."""
    if resolution < 8 or resolution & (resolution - 1):
        raise GanxError(
            f"a StyleGAN2's resolution is a power of two from 8 up, not {resolution}; ?size=N resizes a source"
        )
    if architecture not in ARCHITECTURES:
        raise GanxError(f"a StyleGAN2's architecture is one of {', '.join(ARCHITECTURES)}, not {architecture!r}")
    if half_dtype not in DTYPES:
        raise GanxError(f"half_dtype is one of {', '.join(DTYPES)}, not {half_dtype!r}")
    if widths and len(widths) != resolution.bit_length() - 2:
        raise GanxError(f"widths has {len(widths)} entries for {resolution.bit_length() - 2} resolutions; one each")
    if channels_at(resolution, base, limit, widths) < 1:
        raise GanxError(f"channel_base {base} and channel_max {limit} leave no channels at {resolution} pixels")
