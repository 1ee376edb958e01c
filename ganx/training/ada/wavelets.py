"""The two symlets of the pipeline (Karras et al. 2020b, appendix B) and the filter bank made of one."""

from __future__ import annotations

import functools

import numpy as np

# Low-pass decomposition filters of Daubechies' least asymmetric wavelets with 2 and 6 vanishing moments
SYM2 = np.array([-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025])
SYM6 = np.array(
    [
        *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
        *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
        *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
    ]
)
RESAMPLE = SYM6 / SYM6.sum()
"""Taps that double and halve images around the warp; they sum to 1."""

EXPECTED_POWER = np.array([10, 1, 1, 1]) / 13
"""Share of each band in the power of natural images, from low to high frequencies."""


@functools.cache
def filter_bank() -> np.ndarray:
    """Zero-phase band-pass filters `[4, 43]`, from low to high frequencies, that add up to a unit impulse.

    With the half-band power filters L(z) = lo(z) lo(1/z) / 2 and H(z) = hi(z) hi(1/z) / 2, the three highest bands are
    H(z), L(z) H(z²) and L(z) L(z²) H(z⁴), and the lowest is L(z) L(z²) L(z⁴).
    """
    alternating = SYM2 * (-1.0) ** np.arange(len(SYM2))
    low, high = (np.convolve(taps, taps[::-1]) / 2 for taps in (SYM2, alternating))
    bands, lows = [], np.ones(1)
    for level in (1, 2, 4):
        bands.append(np.convolve(lows, _spaced(high, level)))
        lows = np.convolve(lows, _spaced(low, level))
    bands.append(lows)
    return np.stack([np.pad(band, (len(lows) - len(band)) // 2) for band in reversed(bands)])


def _spaced(taps: np.ndarray, step: int) -> np.ndarray:
    out = np.zeros((len(taps) - 1) * step + 1)
    out[::step] = taps
    return out


def reflected(index: np.ndarray, size: int) -> np.ndarray:
    """Where a place on an axis of `size`, mirrored at its first and last sample for ever, is found."""
    period = 2 * (size - 1)
    index = np.mod(index, period)
    return np.minimum(index, period - index)
