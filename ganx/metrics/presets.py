"""Presets: what one named reference does between an image file and the Fréchet distance."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from ganx.errors import GanxError, unknown
from ganx.metrics.resize import resize


@dataclasses.dataclass(frozen=True)
class Preset:
    """One reference's way.

    Attributes:
      name: what it is called in results.
      resize: kind of resizing, see `ganx.metrics.resize`; "none" for images of the right size.
      mapping: "128", (x - 128) / 128, or "unit", 2 x / 255 - 1.
      ddof: 1 for the unbiased covariance, 0 for the biased one.
      who: what computes the same number.
    """

    name: str
    resize: str
    mapping: str
    ddof: int
    who: str


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("tf", "tf", "128", 1, "TTUR, torch-fidelity, clean-fid legacy_tensorflow"),
        Preset("ada", "tf", "128", 0, "StyleGAN2-ADA and StyleGAN3 (biased covariance)"),
        Preset("pytorch_fid", "torch", "unit", 1, "pytorch-fid, clean-fid legacy_pytorch"),
        Preset("clean", "pil-cubic", "128", 1, "clean-fid"),
        Preset("torchmetrics", "torch-aa", "128", 1, "torchmetrics 1.9"),
        Preset("none", "none", "128", 1, "images of the network's own size"),
    )
}


def preset(name: str) -> Preset:
    """The preset of that name, or a `GanxError` that lists them."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def prepare(images: jax.Array, how: Preset, side: int) -> jax.Array:
    """Images uint8 `[n, h, w, 1 or 3]` as a network takes them: float32 `[n, side, side, 3]`, about [-1, 1].

    Raises:
      GanxError: the preset resizes nothing and the images are of another size.
    """
    x = jnp.repeat(images, 3, -1) if images.shape[-1] == 1 else images
    x = x.astype(jnp.float32)
    if how.resize != "none":
        x = resize(x, (side, side), how.resize)
    elif x.shape[1:3] != (side, side):
        raise GanxError(f"images are {x.shape[1]} x {x.shape[2]} and preset 'none' wants {side}; choose another preset")
    if how.resize == "pil-cubic":
        x = jnp.clip(x, 0.0, 255.0)  # the reference clips and does not round
    return (x - 128.0) / 128.0 if how.mapping == "128" else x * (2 / 255) - 1.0


def to_uint8(images: jax.Array, how: str = "ada") -> jax.Array:
    """Generated images float `[..., c]` in [-1, 1] as uint8, truncating as references do.

    Args:
      how: "ada", trunc(127.5 x + 128), or "seeing", trunc((x + 1) / 2 * 255): half a step apart on average.
    """
    if how not in ("ada", "seeing"):
        raise unknown("way to quantise", how, ("ada", "seeing"))
    x = images.astype(jnp.float32)
    x = x * 127.5 + 128.0 if how == "ada" else (x + 1.0) / 2.0 * 255.0
    return jnp.clip(x, 0.0, 255.0).astype(jnp.uint8)
