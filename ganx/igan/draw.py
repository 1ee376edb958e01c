"""Pictures of groups: where each one looks (paper, figures 3 and 4), and what swapping them does (figures 5 and 6).

How the paper made its concept layout is not said; all of this is ours.
"""

from __future__ import annotations

import colorsys
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Activation, Gan
from ganx.igan.cut import Cut
from ganx.igan.energy import centres
from ganx.igan.partition import membership
from ganx.igan.swaps import Swapped
from ganx.pictures import heat, to_uint8

THRESHOLD = 0.5  # of a map's usual peak
_DIM = 0.35  # brightness outside of a receptive field


def group_colours(groups: int) -> np.ndarray:
    """One colour a group, float `[c, 3]` in [0, 1]: neighbours in number are far apart in hue."""
    hues = (np.arange(groups) * 0.61803398875) % 1.0
    bright = np.where(np.arange(groups) % 2, 0.8, 1.0)
    return np.array([colorsys.hsv_to_rgb(hue, 0.75, value) for hue, value in zip(hues, bright, strict=True)])


@functools.partial(jax.jit, static_argnames=("cut", "groups", "n"))
def look(
    gan: Gan, cut: Cut, labels: jax.Array, groups: int, key: jax.Array, n: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images of fresh latents with what their filters and groups do.

    Returns:
      Images uint8 `[n, H, W, C]`; maps of group centres `[n, c, H, W]` and of filters `[n, m, H, W]`, at the size of
      the images, from 0 at the least value in all images to 1 at the mean peak of an image (0 for one that never
      changes): a few rare peaks would otherwise leave nothing above any threshold.
    """
    act = cut.lower(gan, gan.latents(key, n), label=gan.labels(key, n))
    images = to_uint8(cut.upper(gan, act))
    size, (side, width) = images.shape[1:3], act.features.shape[1:3]
    middle = centres(act.features, labels, groups).reshape(n, side, width, groups)
    return images, _spread(middle, size), _spread(act.features, size)


def _spread(maps: jax.Array, size: tuple[int, ...]) -> jax.Array:
    n, _, _, count = maps.shape
    large = jax.image.resize(maps.astype(jnp.float32), (n, *size, count), "bilinear").transpose(0, 3, 1, 2)
    low = large.min((0, 2, 3), keepdims=True)
    high = large.max((2, 3), keepdims=True).mean(0, keepdims=True)
    return jnp.where(high > low, (large - low) / jnp.where(high > low, high - low, 1.0), 0.0)


def layout(images: np.ndarray, middle: np.ndarray, chosen: tuple[int, ...] | None = None) -> np.ndarray:
    """The concept layout, uint8 `[H, W, 3]`: every pixel in the colour of the group whose mean map is largest there.

    Args:
      images: uint8 `[n, H, W, C]`, whose mean lies under the colours.
      middle: maps of group centres `[n, c, H, W]`, see `look`.
      chosen: only these groups are tinted.
    """
    mean = middle.mean(0)
    mean = mean / np.maximum(mean.max((1, 2), keepdims=True), 1e-12)
    owner, groups = mean.argmax(0), len(mean)
    under = np.broadcast_to(images.mean((0, 3)), owner.shape)[..., None] / 255.0
    tint = group_colours(groups)[owner]
    shown = np.isin(owner, range(groups) if chosen is None else chosen)[..., None]
    return np.rint(255 * np.where(shown, 0.25 * under + 0.75 * tint, 0.5 * under)).astype(np.uint8)


def fields(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Receptive fields: pixels where a map is above half of its range stay bright; uint8 `[maps, n, H, W, C]`.

    Args:
      images: uint8 `[n, H, W, C]`.
      maps: `[n, maps, H, W]`, see `look`.
    """
    inside = (maps > THRESHOLD).transpose(1, 0, 2, 3)[..., None]
    return np.rint(np.where(inside, images, _DIM * images)).astype(np.uint8)


def examples(labels: np.ndarray, groups: int, each: int) -> np.ndarray:
    """The first `each` filters of every group, int `[c, each]`; a group with fewer shows them again, -1 if empty."""
    found = [np.flatnonzero(labels == group) for group in range(groups)]
    return np.stack([np.resize(f, each) if len(f) else np.full(each, -1) for f in found])


def swap_rows(swapped: Swapped) -> np.ndarray:
    """A, B, A with B's part, B with A's part, and where A changed: uint8 `[n, 5, H, W, 3]`."""
    pictures = [to_uint8(np.asarray(x)) for x in (swapped.a, swapped.b, swapped.a_with_b, swapped.b_with_a)]
    pictures = [np.broadcast_to(x, (*x.shape[:3], 3)) for x in pictures]
    change = np.abs(np.asarray(swapped.a_with_b) - np.asarray(swapped.a)).mean(-1)
    return np.stack([*pictures, heat(change, max(change.max(), 1e-6))], 1)


SWAP_COLUMNS = ("A", "B", "A with B's part", "B with A's part", "change of A")


def pair(gan: Gan, cut: Cut, key: jax.Array, n: int) -> tuple[Activation, Activation]:
    """What crosses the cut for `n` fresh images and as many donors."""
    act = cut.lower(gan, gan.latents(key, 2 * n), label=gan.labels(key, 2 * n))
    return act[:n], act[n:]


def shares(labels: np.ndarray, groups: int) -> np.ndarray:
    """Share of the filters in every group, `[c]`."""
    return np.asarray(membership(jnp.asarray(labels), groups).mean(0))
