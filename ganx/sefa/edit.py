"""Moving codes along directions and looking at what changes."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ganx import codes
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.sefa import space as spaces
from ganx.sefa.directions import Directions, code_space, moved_layers
from ganx.sefa.layers import Layers
from ganx.sefa.space import Array, Truncation

NONE = Truncation()


def move(
    gan: Gan,
    code: Array,
    direction: Array,
    amounts: Array | Sequence[float],
    layers: Layers = "all",
    truncation: Truncation = NONE,
) -> jax.Array:
    """Codes moved along one direction.

    Args:
      gan: decides what a code is, see `ganx.codes`.
      code: `[n, *code_shape]`.
      direction: `[d]`, a unit vector; or `[layers, d]`, one for each layer.
      amounts: `[steps]`, how far to go, as a distance in the code.
      layers: which layers of a W+ code move, the others stay as they are, bit for bit. In a BigGAN-deep those layers
        get a z of their own. Ignored in families that take z at one place.
      truncation: if its `before` is set, the step counts before styles are truncated, so that it shrinks with them.

    Returns:
      `[n, steps, *code_shape]`, or `[n, steps, layers, d]` for some layers of a BigGAN-deep.
    """
    code, direction = jnp.asarray(code), jnp.asarray(direction)
    shift = jnp.asarray(amounts, jnp.float32)
    layered = codes.style_based(gan)
    count = codes.code_shape(gan)[0] if layered else 0
    if spaces.repeats_z(gan):
        chosen, stages = moved_layers(gan, layers)
        count = len(moved_layers(gan, "all")[1])
        layered = len(stages) < count or direction.ndim == 2
        if layered and code.ndim == 2:
            code = jnp.repeat(code[:, None], count, 1)
    if not layered:
        return code[:, None] + shift[:, None] * direction
    chosen, _ = moved_layers(gan, layers)
    moving = jnp.zeros((count, 1)).at[jnp.array(chosen)].set(1.0)
    if truncation.before:
        moving = moving * spaces.truncation(gan, truncation.psi, truncation.cutoff)[:, None]
    moved = code[:, None] + shift[:, None, None] * (moving * direction)
    return jnp.where(moving > 0, moved, code[:, None])


def edit(
    gan: Gan,
    z: Array,
    direction: Array,
    amounts: Array | Sequence[float],
    layers: Layers = "all",
    psi: float = 1.0,
    label: Array | None = None,
    cutoff: int | None = None,
    before_truncation: bool = False,
    space: str | None = None,
) -> jax.Array:
    """Images along one direction: float32 `[n, steps, H, W, C]`, nominally in [-1, 1].

    Args:
      gan, direction, amounts, layers: as for `move`.
      z: `[n, *latent]`.
      psi, cutoff: styles are truncated by `psi` in the first `cutoff` layers (all if None).
      label: int32 `[n]` where the GAN has classes.
      before_truncation: styles move before they are truncated (rosinality's code) rather than after.
      space: "w" or "z", in which the direction lives; None for the code. In "z" a style-based family moves its
        latents, `layers` does not matter, and truncation comes after the edit.
    """
    given = Truncation(psi, cutoff, before_truncation)
    space = space or code_space(gan)
    labels = None if label is None else jnp.asarray(label)
    if space == "z" and codes.style_based(gan):
        moved = jnp.asarray(z)[:, None] + jnp.asarray(amounts, jnp.float32)[:, None] * jnp.asarray(direction)
        each = None if labels is None else jnp.repeat(labels, moved.shape[1])
        code = spaces.start(gan, moved.reshape(-1, *moved.shape[2:]), psi, cutoff, each)
        images = spaces.decode(gan, code, each)
    else:
        code = spaces.from_latents(gan, z, space, psi=psi, cutoff=cutoff, label=labels)
        moved = move(gan, code, direction, amounts, layers, given)
        each = None if labels is None else jnp.repeat(labels, moved.shape[1])
        images = spaces.decode(gan, moved.reshape(-1, *moved.shape[2:]), each)
    return images.reshape(*moved.shape[:2], *images.shape[1:])


def traverse(
    gan: Gan, z: Array, directions: Directions, amounts: Array | Sequence[float], **options: object
) -> jax.Array:
    """Images along each direction, in its own layers and space: float32 `[k, n, steps, H, W, C]`.

    `amounts` count in the directions' natural steps (`Directions.scales`); options as for `edit`.
    """
    reach = jnp.asarray(amounts, jnp.float32)
    strips = [
        edit(gan, z, vector, reach * step, directions.layers, space=directions.space, **options)  # type: ignore[arg-type]
        for vector, step in zip(directions.vectors, directions.steps(), strict=True)
    ]
    return jnp.stack(strips)


def shifted(gan: Gan, code: Array, moves: Sequence[tuple[Directions, int, float]]) -> jax.Array:
    """Codes with several edits added up: `[n, *code_shape]` (`[n, layers, d]` for some layers of a BigGAN-deep).

    Args:
      code: `[n, *code_shape]`, in the space of all the directions.
      moves: directions, which one of them, and how many of its natural steps.
    """
    code = jnp.asarray(code)
    for directions, index, amount in moves:
        one = directions.pick([index])
        if one.space != code_space(gan):
            raise GanxError("directions in z and in w cannot be added up; move one of them with edit()")
        step = float(one.steps()[0]) * amount
        code = move(gan, code, one.vectors[0], [step], one.layers)[:, 0]
    return code
