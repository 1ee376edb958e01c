"""How good an inversion is, in the numbers of figure 6 (Bau et al. 2019)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from ganx.seeing.losses import correlation, cosine_error
from ganx.seeing.methods import Inversion

GATE = {"pixels": 0.99, "features": 0.95}
"""Correlations on a generator's own images below which no photograph's reconstruction may be interpreted."""


def inversion_report(
    images: np.ndarray, found: Inversion, z: np.ndarray | None = None, features: np.ndarray | None = None
) -> dict[str, float]:
    """Correlations over all components of all images, errors of pixels, and PSNR in dB.

    Args:
      images: what was inverted, `[n, H, W, C]` in [-1, 1].
      found: its inversion.
      z, features: the true codes and r_n, where they are known. Codes are compared by direction.
    """
    gap = np.asarray(images, np.float64) - found.images
    mse = float(np.square(gap).mean())
    report = {
        "pixels": correlation(images, found.images),
        "l1": float(np.abs(gap).mean()),
        "mse": mse,
        "psnr": float(10 * np.log10(4 / max(mse, 1e-12))),
    }
    if z is not None:
        report |= {"code": correlation(_unit(z), _unit(found.z)), "code_cosine_error": _cosine(z, found.z)}
    if features is not None:
        report |= {
            "features": correlation(features, found.features),
            "features_cosine_error": _cosine(features, found.features),
        }
    return report


def trustworthy(report: dict[str, float]) -> bool:
    """Whether the generator's own images were inverted well enough for photographs to be interpreted (`GATE`)."""
    return all(report[name] >= least for name, least in GATE.items())


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(cosine_error(jnp.asarray(a), jnp.asarray(b)))


def _unit(z: np.ndarray) -> np.ndarray:
    z = np.asarray(z, np.float64)
    return z / np.sqrt(np.square(z).mean(-1, keepdims=True) + 1e-12)
