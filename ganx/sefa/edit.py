"""Moving codes along directions and looking at what changes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ganx import codes
from ganx.gan import Gan
from ganx.sefa.layers import Layers, parse_layers

Array = jax.Array | np.ndarray


def move(gan: Gan, code: Array, direction: Array, amounts: Array, layers: Layers = "all") -> jax.Array:
    """Codes moved along one direction.

    Args:
      gan: decides what a code is, see `ganx.codes`.
      code: `[n, *code_shape]`.
      direction: `[d]`, a unit vector.
      amounts: `[steps]`, how far to go, as a distance in the code.
      layers: which layers of a W+ code move, the others stay as they are; ignored for codes in z.

    Returns:
      `[n, steps, *code_shape]`.
    """
    shift = jnp.asarray(amounts)[:, None] * jnp.asarray(direction)
    if codes.style_based(gan):
        count = codes.code_shape(gan)[0]
        moving = jnp.zeros(count).at[jnp.array(parse_layers(layers, count))].set(1.0)
        shift = shift[:, None, :] * moving[:, None]
    return jnp.asarray(code)[:, None] + shift


def edit(gan: Gan, z: Array, direction: Array, amounts: Array, layers: Layers = "all", psi: float = 1.0) -> jax.Array:
    """Images along one direction: float32 `[n, steps, H, W, C]`, nominally in [-1, 1].

    `z` is `[n, *latent]`, the rest as for `move`. Styles are truncated by `psi` before they move.
    """
    moved = move(gan, codes.encode(gan, jnp.asarray(z), psi), direction, amounts, layers)
    images = codes.decode(gan, moved.reshape(-1, *codes.code_shape(gan)))
    return images.reshape(*moved.shape[:2], *images.shape[1:])
