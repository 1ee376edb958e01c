"""References worked out once: statistics and features of real images, known by their content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from ganx import cache
from ganx.arrays import read_npz
from ganx.errors import GanxError
from ganx.metrics.collect import Collected
from ganx.metrics.features import FeatureNet
from ganx.metrics.moments import Moments
from ganx.metrics.presets import Preset


def folder() -> Path:
    """Where references are kept: `references` in ganx's cache."""
    return cache.folder("references")


def name(content: str, net: FeatureNet, preset: Preset) -> str:
    """The file of a reference: a hash of the images' content, the network's weights and layer, and the preset."""
    told = "\n".join((content, net.name, net.sha256, net.layer, preset.name))
    return hashlib.sha256(told.encode()).hexdigest()[:32] + ".npz"


def load(path: Path, features: bool = False) -> Collected | None:
    """A kept reference; None where there is none, or it lacks the features that are asked for.

    Raises:
      GanxError: the file is damaged.
    """
    if not path.exists():
        return None
    kept = read_npz(path, "reference any more", "delete it and run again").get("features")
    return None if features and kept is None else Collected(Moments.load(path), kept)


def save(path: Path, found: Collected) -> None:
    """Keeps a reference, whole or not at all: pytorch-fid's `mu` and `sigma`, and the features if there are any.

    Raises:
      GanxError: the folder cannot be written.
    """
    m, part = found.moments, path.with_suffix(f".{os.getpid()}.part")
    arrays = {"mu": m.mean, "sigma": m.covariance, "count": np.array(m.count), "ddof": np.array(m.ddof)}
    if found.features is not None:
        arrays["features"] = found.features
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        part.replace(path)
    except OSError as error:
        raise GanxError(f"cannot keep a reference in {path.parent}: {error.strerror}; set {cache.VARIABLE}") from None
