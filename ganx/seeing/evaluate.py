"""How good an inversion is, in the numbers of figure 6 (Bau et al. 2019)."""

from __future__ import annotations

from typing import Any

import jax
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


def measures(images: np.ndarray, found: Inversion, own: np.ndarray, truth: Inversion | None) -> dict[str, Any]:
    """Reports apart for "samples", whose truth is known, and "photographs"; and whether the latter can be believed.

    Args:
      images, found: as in `inversion_report`.
      own: bool `[n]`, which images the generator drew itself.
      truth: codes and features of all images, right for those; None where there are none.
    """
    report: dict[str, Any] = {}
    if not own.all():
        report["photographs"] = inversion_report(images[~own], _rows(found, ~own))
    if truth is not None and own.any():
        mine = inversion_report(images[own], _rows(found, own), truth.z[own], truth.features[own])
        report |= {"samples": mine, "trustworthy": trustworthy(mine)}
    return report


def trustworthy(report: dict[str, float]) -> bool:
    """Whether the generator's own images were inverted well enough for photographs to be interpreted (`GATE`)."""
    return all(report[name] >= least for name, least in GATE.items())


def believed(measured: dict[str, Any]) -> str:
    """What `measures` says of reconstructed photographs, as a sentence."""
    if "trustworthy" not in measured:
        return "whether a reconstruction can be believed is not known: invert the word samples beside the photographs"
    seen = ", ".join(f"{name} {measured['samples'][name]:.3f} (at least {least})" for name, least in GATE.items())
    verdict = "so omissions can be believed" if measured["trustworthy"] else "too badly to believe omissions"
    return f"its own pictures are found again with correlations of {seen}: {verdict}"


def _rows(found: Inversion, rows: np.ndarray) -> Inversion:
    return jax.tree.map(lambda leaf: leaf[rows], found)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(cosine_error(jnp.asarray(a), jnp.asarray(b)))


def _unit(z: np.ndarray) -> np.ndarray:
    z = np.asarray(z, np.float64)
    return z / np.sqrt(np.square(z).mean(-1, keepdims=True) + 1e-12)
