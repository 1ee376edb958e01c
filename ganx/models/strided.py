"""Convolutions of stride two by the four phases of their input, where XLA:CPU runs them several times faster so.

Output (r, c) of a k x k kernel sees the places (2 r + a, 2 c + b), which all lie in the phase (a mod 2, b mod 2): the
rows and columns of one parity. Within a phase the stride is one. The three operations are those of `correlate`, for
kernels of at least two places a side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp

Pads = tuple[tuple[int, int], tuple[int, int]]
Size = tuple[int, int]
Taps = Iterator[tuple[tuple[int, int], jax.Array]]

_kept = jax.lax.optimization_barrier  # what is read many times is computed once


def serves(operation: str, stride: int, window: Size, size: Size, i: int, o: int) -> bool:
    """Whether one of the operations below is, by measurement on XLA:CPU, faster than its convolution.

    Args:
      operation: "forward", "in_x" or "in_kernel".
      stride, window, size: of the convolution and of its input.
      i, o: channels in and out.
    """
    if (stride, window) != (2, (3, 3)):
        return False
    few = min(i, o)
    large = few >= 16 and size[0] >= 64 and operation == "in_kernel"
    return large or few >= {"forward": 256, "in_x": 64, "in_kernel": 64}[operation]


def forward(x: jax.Array, kernel: jax.Array, pads: Pads) -> jax.Array:
    """`correlate` of stride two as one product of matrices: what each output sees, beside each other, times the kernel.

    Args:
      x: `[n, h, w, i]`.
      kernel: `[kh, kw, i, o]`.
      pads: zeros around, before and after, for both axes.
    """
    size = _outputs(x.shape[1:3], kernel.shape[:2], pads)
    columns = _kept(jnp.concatenate([tap for _, tap in _taps(x, kernel.shape[:2], pads, size)], 3))
    return jax.lax.dot_general(columns, kernel.reshape(-1, kernel.shape[3]), (((3,), (0,)), ((), ())))


def in_x(y: jax.Array, kernel: jax.Array, pads: Pads, size: Size) -> jax.Array:
    """The transpose of `correlate` in its input: `y` `[n, oh, ow, o]` to `[n, *size, i]`, each phase by itself."""
    n, (h, w), (kh, kw, i, _) = y.shape[0], y.shape[1:3], kernel.shape
    high, wide = h + (kh - 1) // 2, w + (kw - 1) // 2
    y = _kept(y)

    def phase(p: int, q: int) -> jax.Array:
        taps = jax.lax.rev(kernel[p::2, q::2], (0, 1))
        around = ((taps.shape[0] - 1, high - h), (taps.shape[1] - 1, wide - w))
        return jax.lax.conv_general_dilated(y, taps, (1, 1), around, dimension_numbers=("NHWC", "HWOI", "NHWC"))

    woven = _kept(jnp.stack([jnp.stack([phase(p, q) for q in (0, 1)], 3) for p in (0, 1)], 2))
    x = woven.reshape(n, 2 * high, 2 * wide, i)
    (top, _), (left, _) = pads
    unseen = [(0, max(0, low + side - seen)) for low, side, seen in zip((top, left), size, x.shape[1:3], strict=True)]
    return jnp.pad(x, ((0, 0), *unseen, (0, 0)))[:, top : top + size[0], left : left + size[1]]


def in_kernel(x: jax.Array, y: jax.Array, pads: Pads, window: Size) -> jax.Array:
    """The transpose of `correlate` in the kernel, a product for each of its places."""
    slopes = y.reshape(-1, y.shape[3])
    seen = [_kept(tap).reshape(-1, x.shape[3]) for _, tap in _taps(x, window, pads, y.shape[1:3])]
    taps = [jax.lax.dot_general(tap, slopes, (((0,), (0,)), ((), ()))) for tap in seen]
    return jnp.stack(taps).reshape(*window, x.shape[3], y.shape[3])


def _outputs(size: Sequence[int], window: Sequence[int], pads: Pads) -> Size:
    high, wide = ((n + sum(pad) - k) // 2 + 1 for n, pad, k in zip(size, pads, window, strict=True))
    return high, wide


def _taps(x: jax.Array, window: Sequence[int], pads: Pads, size: Sequence[int]) -> Taps:
    """Each place of the kernel and what the outputs `size` see there: `[n, *size, i]`."""
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    phases = [[_kept(x[:, p::2, q::2]) for q in (0, 1)] for p in (0, 1)]
    for a in range(window[0]):
        for b in range(window[1]):
            r, c = a // 2, b // 2
            yield (a, b), phases[a % 2][b % 2][:, r : r + size[0], c : c + size[1]]
