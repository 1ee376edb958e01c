"""Doubling and halving along one axis as matrices, the mirrored margin folded in.

An image is mirrored at its borders, up to `before` and `after` extra samples, doubled by the 12-tap symlet, warped, and
halved by the same symlet. Mirroring for ever makes the doubled axis periodic, so one constant matrix gives all of it;
only the six places at either end of the margin, where the filter meets the zeros beyond, depend on the margin. They
follow the period as rows of their own. No padded image is ever built, and margins may differ between images.

The rows of a doubled axis are, with b and e its first and last place within the margin:

    period        places 0 … 4 (size - 1), the last one equal to the first
    start         places b - 2 … b + 6, the first two zero
    end           places e - 6 … e + 1, the last one zero

so that a place and the next one are always a row and the next one.
"""

from __future__ import annotations

import functools
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from ganx.training.ada.wavelets import RESAMPLE, reflected

Places = TypeVar("Places", jax.Array, np.ndarray)

REACH = 6
"""Samples that the two filters together reach beyond a border."""

_TAPS = len(RESAMPLE) // 2  # of each of the two phases
_START, _END = np.arange(-2, 7), np.arange(-6, 2)
_EDGE = 6  # doubled places at either end that the filter's support sticks out of


def rows(size: int) -> int:
    """Rows of a doubled axis of `size` samples."""
    return 4 * (size - 1) + 1 + len(_START) + len(_END)


def doubling(size: int, before: jax.Array, after: jax.Array) -> jax.Array:
    """`[n, rows(size), size]`: the doubled axis of each image with margins `[n]`."""
    constant = jnp.broadcast_to(period(size), (len(before), *period(size).shape))
    return jnp.concatenate([constant, _ends(size, before, after)], 1)


@functools.cache
def period(size: int) -> np.ndarray:
    """`[4 (size - 1) + 1, size]`: the doubled axis over one period of the mirrored one, and its first place again."""
    place = np.arange(4 * (size - 1) + 1)
    matrix = np.zeros((len(place), size), np.float32)
    for k in range(_TAPS):
        sample = _first(place) + k
        np.add.at(matrix, (place, reflected(sample, size)), 2 * RESAMPLE[5 + place - 2 * sample])
    return matrix


def row_of(place: jax.Array, size: int, before: jax.Array, after: jax.Array) -> jax.Array:
    """The row that holds each of the places `[n, q]`, int32. Of two successive places beyond the margin, both are 0."""
    first, last = _span(size, before[:, None], after[:, None])
    count = 4 * (size - 1)
    place = jnp.where((place < first - 2) | (place > last), first - 2, place)
    row = jnp.where(place < 0, place + count, place)
    row = jnp.where(place >= last - _EDGE, place - (last - _EDGE) + count + 1 + len(_START), row)
    return jnp.where(place < first + _EDGE, place - (first - 2) + count + 1, row)


@functools.cache
def halving(size: int) -> np.ndarray:
    """`[size, 2 size + 10]`: the halved axis from the doubled one, which starts five doubled places early."""
    matrix = np.zeros((size, 2 * size + 10), np.float32)
    for k, tap in enumerate(RESAMPLE):
        matrix[np.arange(size), 2 * np.arange(size) + k] = tap
    return matrix


def _ends(size: int, before: jax.Array, after: jax.Array) -> jax.Array:
    """`[n, 17, size]`: the rows of start and end."""
    first, last = _span(size, before[:, None], after[:, None])
    place = jnp.concatenate([first + _START, last + _END], 1)[..., None]
    sample = _first(place) + jnp.arange(_TAPS)
    inside = (sample >= -before[:, None, None]) & (sample <= (size - 1 + after)[:, None, None])
    inside &= (place >= first[..., None]) & (place <= last[..., None])
    taps = jnp.where(inside, jnp.asarray(2 * RESAMPLE, jnp.float32)[5 + place - 2 * sample], 0)
    at = jnp.mod(sample, 2 * (size - 1))
    at = jnp.minimum(at, 2 * (size - 1) - at)
    return (taps[..., None] * (at[..., None] == jnp.arange(size))).sum(2)


def _span(size: int, before: jax.Array, after: jax.Array) -> tuple[jax.Array, jax.Array]:
    """First and last doubled place within the margin."""
    return -2 * before, 2 * (size - 1 + after) + 1


def _first(place: Places) -> Places:
    """The first of the six samples that a doubled place is made of."""
    return (place - 5) // 2
