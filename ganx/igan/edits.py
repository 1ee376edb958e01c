"""Edits of features at a cut: pure functions for `Gan(..., edits={stage: edit})`, channel by channel.

`channels` says which filters an edit touches, bool `[m]`, or how far it goes with each, in [0, 1] (ours). All others
keep their bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.gan import Edit


def select(labels: jax.Array, groups: Mapping[int, float] | Sequence[int] | int) -> jax.Array:
    """The filters of some groups, bool `[m]`: s_j = 1[q_j in S] (paper, Modifying visual concepts).

    With a mapping from groups to how far an edit goes with each, that of every filter, float32 `[m]` (ours).
    """
    if isinstance(groups, Mapping):
        far = jnp.array(list(groups.values()), jnp.float32)
        return jnp.where(labels[:, None] == jnp.array(list(groups), jnp.int32), far, 0).sum(1)
    return jnp.isin(labels, jnp.asarray(groups, jnp.int32))


def check_groups(groups: Sequence[int], count: int) -> tuple[int, ...]:
    """The groups as given, if all exist.

    Raises:
      GanxError: a group that is not one of 0 to `count` - 1.
    """
    for group in groups:
        if not 0 <= group < count:
            raise GanxError(f"no group {group}: this partition has groups 0 to {count - 1}")
    return tuple(groups)


def swap(donor: jax.Array, channels: jax.Array) -> Edit:
    """Channels from another image's features `[n, h, w, m]`: f' = (1 - s) f_a + s f_b (paper)."""
    return lambda features: _toward(features, donor, channels)


def erase(channels: jax.Array) -> Edit:
    """Channels set to zero (ours)."""
    return lambda features: _toward(features, jnp.zeros_like(features), channels)


def move(channels: jax.Array, down: jax.Array | int, right: jax.Array | int) -> Edit:
    """Channels translated by whole positions, zeros moving in (the paper claims part moving without saying how).

    `down` and `right` may be traced, so that many moves are one `vmap`.
    """
    return lambda features: _toward(features, _shift(_shift(features, down, 1), right, 2), channels)


def collage(donor: jax.Array, mask: jax.Array) -> Edit:
    """Feature collaging (Suzuki et al. 2018), a baseline: all channels, but only inside a mask.

    Args:
      donor: features `[n, h, w, m]`.
      mask: in [0, 1], `[h, w]` or `[n, h, w]`, at the cut's size (see `mask_at`).
    """
    return lambda features: ((1 - mask[..., None]) * features + mask[..., None] * donor).astype(features.dtype)


def mask_at(mask: jax.Array, side: int) -> jax.Array:
    """Masks `[..., H, W]` of images averaged down to `[..., side, side]`: the part of each position that is inside."""
    *lead, height, width = mask.shape
    if height % side or width % side:
        raise GanxError(f"a mask of {height} x {width} does not divide into {side} x {side} positions")
    blocks = jnp.asarray(mask, jnp.float32).reshape(*lead, side, height // side, side, width // side)
    return blocks.mean((-3, -1))


def _toward(features: jax.Array, edited: jax.Array, channels: jax.Array) -> jax.Array:
    """The way to `edited` as far as `channels` says; at either end bit by bit."""
    part_way = ((1 - channels) * features + channels * edited).astype(features.dtype)
    return jnp.where(channels == 0, features, jnp.where(channels == 1, edited, part_way))


def _shift(features: jax.Array, by: jax.Array | int, axis: int) -> jax.Array:
    size = features.shape[axis]
    source = jnp.arange(size) - by
    inside = ((source >= 0) & (source < size)).reshape((size,) + (1,) * (features.ndim - 1 - axis))
    return jnp.where(inside, jnp.roll(features, by, axis), jnp.zeros_like(features))
