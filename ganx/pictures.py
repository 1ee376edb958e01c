"""Arrays to pictures: pixels, colour maps, sheets, encoded files."""

from __future__ import annotations

import base64
import io
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

# Anchors of two colour maps, evenly spaced, as RGB: dark to bright for what is never negative, and blue over
# near-black to orange for signed values, so that "nothing" is dark in both.
_HEAT = np.array([[12, 10, 26], [64, 20, 96], [150, 38, 112], [226, 84, 74], [252, 168, 74], [255, 247, 200]])
_SIGNED = np.array([[178, 230, 255], [52, 140, 214], [16, 24, 44], [226, 104, 40], [255, 232, 170]])


def to_uint8(images: Any) -> Any:
    """uint8 pixels of images in [-1, 1], rounded and clipped; numpy in, numpy out, and jax likewise."""
    xp = jnp if isinstance(images, jax.Array) else np
    return xp.clip(xp.round((images + 1.0) * 127.5), 0, 255).astype(xp.uint8)


def heat(values: np.ndarray, scale: Any) -> np.ndarray:
    """uint8 `[..., 3]`: values from 0 (dark) to `scale` (bright); `scale` broadcasts."""
    return _colour(np.asarray(values) / scale, _HEAT)


def signed(values: np.ndarray, scale: Any) -> np.ndarray:
    """uint8 `[..., 3]`: values from -`scale` (blue) through 0 (dark) to `scale` (orange)."""
    return _colour(0.5 + 0.5 * np.asarray(values) / scale, _SIGNED)


def _colour(fraction: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    fraction = np.clip(fraction, 0.0, 1.0)
    positions = np.linspace(0.0, 1.0, len(anchors))
    channels = [np.interp(fraction, positions, anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, -1)).astype(np.uint8)


def enlarge(images: np.ndarray, factor: int) -> np.ndarray:
    """Every pixel of `[..., H, W, C]` repeated `factor` times along both axes."""
    return images.repeat(factor, axis=-3).repeat(factor, axis=-2)


def shrink(images: np.ndarray, limit: int) -> np.ndarray:
    """uint8 `[..., H, W, C]` averaged over whole blocks until neither side exceeds `limit`."""
    *lead, h, w, c = images.shape
    factor = -(-max(h, w) // limit)
    if factor == 1:
        return images
    blocks = images[..., : h // factor * factor, : w // factor * factor, :]
    blocks = blocks.reshape(*lead, h // factor, factor, w // factor, factor, c)
    return np.rint(blocks.mean((-4, -2))).astype(np.uint8)


def sheet(images: np.ndarray, gap: int = 2, background: int = 255) -> np.ndarray:
    """One picture `[H', W', C]` of uint8 `[rows, columns, H, W, C]`, `gap` pixels apart."""
    rows, columns, h, w, c = images.shape
    out = np.full((rows, h + gap, columns, w + gap, c), background, np.uint8)
    out[:, :h, :, :w] = images.transpose(0, 2, 1, 3, 4)
    return out.reshape(rows * (h + gap), columns * (w + gap), c)[: -gap or None, : -gap or None]


def png(image: np.ndarray) -> bytes:
    """A PNG file of uint8 `[H, W, C]`."""
    return _save([image], "PNG", optimize=True)


def webp(image: np.ndarray, quality: int | None = None) -> bytes:
    """A WebP file of uint8 `[H, W, C]`: exact, or lossy at `quality` 0 to 100."""
    return _save([image], "WEBP", **_webp_options(quality))


def animation(frames: np.ndarray, fps: float, quality: int | None = None) -> bytes:
    """An endlessly looping WebP file of uint8 `[steps, H, W, C]`."""
    options = _webp_options(quality)
    return _save(list(frames), "WEBP", save_all=True, append_images=True, duration=round(1000 / fps), loop=0, **options)


def data_uri(file: bytes, kind: str = "image/webp") -> str:
    """A file as a `data:` address."""
    return f"data:{kind};base64,{base64.b64encode(file).decode('ascii')}"


def _webp_options(quality: int | None) -> dict[str, Any]:
    # For the lossless coder "quality" is effort; more than this buys nothing on small pictures.
    return {"lossless": True, "quality": 50, "method": 2} if quality is None else {"quality": quality, "method": 4}


def _save(frames: list[np.ndarray], kind: str, append_images: bool = False, **options: Any) -> bytes:
    images = [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]
    if kind == "WEBP":
        images = [image.convert("RGB") for image in images]
    if append_images:
        options["append_images"] = images[1:]
    buffer = io.BytesIO()
    images[0].save(buffer, kind, **options)
    return buffer.getvalue()
