"""The pipeline: every transform of a policy, for each image by chance, on the device."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ganx.errors import GanxError
from ganx.training.ada.affine import moved
from ganx.training.ada.colour import apply_matrix, draw_matrix
from ganx.training.ada.corrupt import add_noise, cut_out
from ganx.training.ada.dice import Dice
from ganx.training.ada.filters import apply_gains, draw_gains
from ganx.training.ada.geometry import draw_inverse
from ganx.training.ada.policy import Policy
from ganx.training.ada.warp import warp


def augment(
    images: jax.Array,
    key: jax.Array,
    p: jax.Array | float,
    policy: Policy,
    *,
    percentile: float | None = None,
    mesh: Mesh | None = None,
) -> jax.Array:
    """Randomly transformed images (Karras et al. 2020b, appendix B), differentiable twice in `images`.

    Pixel moves come first, then colours, the filter, noise and the cutout. An image for which no transform of a kind
    fires passes that kind unchanged, to the bit: at p = 0 the result is `images`.

    Args:
      images: `[n, h, w, 1 or 3]` in [-1, 1] of any float type. The arithmetic is float32; the result has their type.
      key: of this call's random numbers.
      p: probability of each transform, a number or a traced scalar in [0, 1]: one program serves all.
      policy: what the pipeline holds; see `get_policy`.
      percentile: if given, nothing is left to chance: each transform fires and draws this percentile (see `Dice`).
      mesh: the devices over whose data axis random numbers are spread.

    Raises:
      GanxError: images of another shape, or fewer than 4 pixels high or wide.
    """
    _check(images, percentile)
    n, height, width, channels = images.shape
    dice_key, noise_key = jax.random.split(key)
    dice = Dice(dice_key, n, p, percentile, mesh)
    x = images.astype(jnp.float32)
    if policy.geometric:
        inverse = draw_inverse(dice, policy, height, width, n)
        x = _where(moved(inverse), warp(x, inverse), x)
    if policy.colourful:
        matrix = draw_matrix(dice, policy, channels, n)
        x = _where(moved(matrix), apply_matrix(x, matrix), x)
    if policy.filter:
        gains = draw_gains(dice, policy, n)
        x = _where((gains != 1).any(-1), apply_gains(x, gains), x)
    if policy.noise:
        x = add_noise(x, dice, noise_key, policy, mesh)
    if policy.cutout:
        x = cut_out(x, dice, policy)
    return x.astype(images.dtype)


def _where(which: jax.Array, changed: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.where(which[:, None, None, None], changed, x)


def _check(images: jax.Array, percentile: float | None) -> None:
    if images.ndim != 4 or images.shape[3] not in (1, 3) or min(images.shape[1:3]) < 4:
        raise GanxError(
            f"cannot augment images of shape {tuple(images.shape)}; they must be [n, h, w, 1 or 3], at least 4 x 4"
        )
    if percentile is not None and not 0 < percentile < 1:
        raise GanxError(f"percentile={percentile} is not between 0 and 1")
