"""The alias-free nonlinearity of StyleGAN3: low-pass filters, resampling through them, leaky ReLU in between.

Resampling is linear in the image: insert zeros between samples, filter, keep every `down`-th sample. Its transpose
is of the same kind with the two factors exchanged (the filters are symmetric), so it is one primitive whose
derivatives of every order are itself. Its form is sums of shifted slices, which XLA fuses into one pass over the
image; depthwise convolutions run 25 to 250 times slower on CPU, products with banded matrices 5 times slower.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from ganx.models.layers import lrelu

OVERSAMPLING = 2  # of the nonlinearity, against the finer of its input and output


class Signal(NamedTuple):
    """What a layer puts out. Frequencies are cycles per image, the rate is samples per image.

    The band ends at `cutoff`, in a transition of `half_width` to each side; `size` samples a side include the margin.
    """

    cutoff: float
    half_width: float
    rate: int
    size: int
    channels: int


def kaiser_lowpass(taps: int, cutoff: float, width: float, rate: float) -> np.ndarray:
    """Separable low-pass filter, a sinc under a Kaiser window (Karras et al. 2021, appendix C): float32 `[taps]`.

    Args:
      taps: length, even for filters that sit between samples.
      cutoff: the middle of the transition band, `width` its full width, `rate` samples per unit: in cycles per unit.

    Returns:
      symmetric taps that sum to one.
    """
    at = (np.arange(taps) - (taps - 1) / 2) / rate
    h = np.sinc(2 * cutoff * at) * _kaiser(taps, width / rate)
    return (h / h.sum()).astype(np.float32)


def radial_lowpass(taps: int, cutoff: float, width: float, rate: float) -> np.ndarray:
    """The same for StyleGAN3-R: a jinc, the low-pass filter of the plane that no rotation changes: `[taps, taps]`.

    `taps` is even, so that no tap lies at the centre.
    """
    at = (np.arange(taps) - (taps - 1) / 2) / rate
    radius = np.hypot(at[:, None], at)
    window = _kaiser(taps, width / rate)
    h = _bessel_j1(2 * np.pi * cutoff * radius) / radius * np.outer(window, window)
    return (h / h.sum()).astype(np.float32)


def _kaiser(taps: int, width: float) -> np.ndarray:
    """Kaiser's window for a transition band of `width` cycles per sample, by his formulas for attenuation and shape."""
    attenuation = 2.285 * (taps - 1) * 2 * math.pi * width + 7.95
    if attenuation > 50:
        shape = 0.1102 * (attenuation - 8.7)
    elif attenuation > 21:
        shape = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    else:
        shape = 0.0
    return np.kaiser(taps, shape)


def _bessel_j1(x: np.ndarray) -> np.ndarray:
    """J1 by the mean of Bessel's integrand over a period, exact to rounding for |x| < 100."""
    turn = np.arange(256) * (2 * np.pi / 256)
    return np.cos(turn - x[..., None] * np.sin(turn)).mean(-1)


def resampling(
    before: Signal, signal: Signal, filter_size: int, radial: bool
) -> tuple[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    """How a filtered layer changes rate from its input `before` to `signal` and back after the nonlinearity.

    Returns:
      the factors up and down, and the filters for both ways, `filter_size` taps long per factor.
    """
    rate = OVERSAMPLING * max(before.rate, signal.rate)
    up, down = rate // before.rate, rate // signal.rate
    lowpass = radial_lowpass if radial else kaiser_lowpass
    return (up, down), (
        kaiser_lowpass(filter_size * up, before.cutoff, 2 * before.half_width, rate),
        lowpass(filter_size * down, signal.cutoff, 2 * signal.half_width, rate),
    )


def filtered_lrelu(
    x: jax.Array,
    filters: tuple[jax.Array, jax.Array],
    factors: tuple[int, int],
    low: int,
    size: int,
    clamp: float,
) -> jax.Array:
    """Leaky ReLU times sqrt(2) at a higher sampling rate, so that the frequencies it adds can be filtered away (§3.2).

    Args:
      x: `[n, h, h, c]`.
      filters: for the way up, `[taps]`, and down, `[taps]` or `[taps, taps]`.
      factors: by how much the rate rises before and falls after the nonlinearity.
      low: zeros before the first sample of the raised signal; negative to cut.
      size: side of the result.
      clamp: bound on the magnitude after the nonlinearity; 0 for none.

    Returns:
      `[n, size, size, c]`.
    """
    (up_filter, down_filter), (up, down) = filters, factors
    x = resample(x, up_filter * up, up, 1, low, (size - 1) * down + len(down_filter))
    x = lrelu(x)
    if clamp:
        x = jnp.clip(x, -clamp, clamp)
    return resample(x, down_filter, 1, down, 0, size)


def resample(x: jax.Array, taps: jax.Array, up: int, down: int, low: int, size: int) -> jax.Array:
    """Both axes of `x` `[n, h, h, c]` resampled: `[n, size, size, c]`. `taps` get no gradient.

    With v the image with `up - 1` zeros inserted after each sample and zeros all around,
    `out[j] = sum_k taps[k] v[down j + k - low]` along each axis (`taps` `[t]`), or over both at once (`[t, t]`).
    One of `up` and `down` is 1; `taps` are the same when reversed.
    """
    return _resample.bind(x, jax.lax.stop_gradient(taps), up=up, down=down, low=low, size=size)


def _form(x: jax.Array, taps: jax.Array, *, up: int, down: int, low: int, size: int) -> jax.Array:
    dtype, x, taps = x.dtype, x.astype(jnp.float32), taps.astype(jnp.float32)
    if taps.ndim == 2:
        form = _radial_down if up == 1 else _radial_up
        return form(x, taps, up * down, low, size).astype(dtype)
    for axis in (1, 2) if up == 1 else (2, 1):  # first the axis whose memory is contiguous in the smaller image
        x = _axis_down(x, taps, down, low, size, axis) if up == 1 else _axis_up(x, taps, up, low, size, axis)
    return x.astype(dtype)


def _axis_down(x: jax.Array, taps: jax.Array, down: int, low: int, size: int, axis: int) -> jax.Array:
    rows = _strided(x, len(taps), down, low, size, axis)
    return _dot(taps, rows)


def _axis_up(x: jax.Array, taps: jax.Array, up: int, low: int, size: int, axis: int) -> jax.Array:
    """Each of `up` phases of the output is a filter of its own on `x` (the zeros are never multiplied)."""
    phases = [_dot(taps[first::up], rows) for first, rows in _phases(x, len(taps), up, low, size, axis)]
    return _interleave(phases, size, axis)


def _radial_down(x: jax.Array, taps: jax.Array, down: int, low: int, size: int) -> jax.Array:
    """The filter's mirror images share their products: a quarter of the multiplications."""
    half, total = len(taps) // 2, jnp.zeros((), x.dtype)
    for tap, row in zip(taps[:half], _folded(_strided(x, 2 * half, down, low, size, 1)), strict=True):
        total = total + _dot(tap[:half], _folded(_strided(row, 2 * half, down, low, size, 2)))
    return total


def _radial_up(x: jax.Array, taps: jax.Array, up: int, low: int, size: int) -> jax.Array:
    columns = []
    for left, shifted in _phases(x, len(taps), up, low, size, 2):
        grids = [_phases(column, len(taps), up, low, size, 1) for column in shifted]
        rows = []
        for phase, (top, _) in enumerate(grids[0]):
            own = taps[top::up, left::up]
            terms = [_dot(own[:, k], grid[phase][1]) for k, grid in enumerate(grids)]
            rows.append(functools.reduce(jnp.add, terms))
        columns.append(_interleave(rows, size, 1))
    return _interleave(columns, size, 2)


def _dot(taps: jax.Array, terms: list[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, [tap * term for tap, term in zip(taps, terms, strict=True)])


def _folded(terms: list[jax.Array]) -> list[jax.Array]:
    half = len(terms) // 2
    return [a + b for a, b in zip(terms[:half], terms[::-1][:half], strict=True)]


def _strided(x: jax.Array, count: int, down: int, low: int, size: int, axis: int) -> list[jax.Array]:
    """For each tap k the `size` samples that it meets, `x[down j + k - low]`."""
    last = (size - 1) * down
    x = _padded(x, axis, low, last + count - low)
    return [jax.lax.slice_in_dim(x, k, k + last + 1, down, axis) for k in range(count)]


def _phases(x: jax.Array, count: int, up: int, low: int, size: int, axis: int) -> list[tuple[int, list[jax.Array]]]:
    """For each phase r of the outputs `up q + r`: its first tap, after which come every `up`-th, and what they meet."""
    each = -(-size // up)
    firsts = [(low - r) % up for r in range(up)]
    starts = [(r + first - low) // up for r, first in enumerate(firsts)]
    lowest, end = min(starts), max(starts) + each + -(-count // up)
    x = _padded(x, axis, -lowest, end)
    found = []
    for first, start in zip(firsts, starts, strict=True):
        at = range(start - lowest, start - lowest + len(range(first, count, up)))
        found.append((first, [jax.lax.slice_in_dim(x, k, k + each, 1, axis) for k in at]))
    return found


def _padded(x: jax.Array, axis: int, low: int, end: int) -> jax.Array:
    """Samples -low to end - 1 of `x`, zeros where it has none."""
    pads = [(low, end - x.shape[axis], 0) if i == axis else (0, 0, 0) for i in range(x.ndim)]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), pads)


def _interleave(phases: list[jax.Array], size: int, axis: int) -> jax.Array:
    both = jnp.stack(phases, axis + 1)
    whole = both.reshape(*both.shape[:axis], -1, *both.shape[axis + 2 :])
    return jax.lax.slice_in_dim(whole, 0, size, 1, axis)


def _shape(x: Any, taps: Any, *, size: int, **static: Any) -> Any:
    del taps, static
    return x.update(shape=(x.shape[0], size, size, x.shape[3]))


def _transpose(ct: jax.Array, x: Any, taps: jax.Array, *, up: int, down: int, low: int, size: int) -> jax.Array:
    del size
    return _resample.bind(ct, taps, up=down, down=up, low=taps.shape[0] - 1 - low, size=x.aval.shape[1])


def _mapped(args: Any, axes: Any, **static: Any) -> tuple[jax.Array, int]:
    return jax.vmap(functools.partial(_form, **static), axes)(*args), 0


_resample = Primitive("resample_filtered")
_resample.def_impl(jax.jit(_form, static_argnames=("up", "down", "low", "size")))
_resample.def_abstract_eval(_shape)
ad.defbilinear(_resample, _transpose, None)  # taps come without a tangent, see `resample`
batching.primitive_batchers[_resample] = _mapped
mlir.register_lowering(_resample, mlir.lower_fun(_form, multiple_results=False))
