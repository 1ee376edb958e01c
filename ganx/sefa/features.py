"""What a Fréchet distance along an edit is measured in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax

from ganx.metrics.features import load_features
from ganx.metrics.presets import PRESETS, to_uint8
from ganx.sefa.predictors import find_function


class Features(NamedTuple):
    """`apply`: images float32 `[n, H, W, C]` in [-1, 1] to features `[n, d]`; `name`: what distances are called."""

    name: str
    apply: Callable[[jax.Array], jax.Array]


def find_features(text: str) -> Features:
    """A feature network by name ("inception", whose distance is FID, "faces", "vgg16"), or "package.module:function".

    Raises:
      GanxError: there is none, or its public weight file is missing.
    """
    if ":" in text:
        return Features(f"FD-{text.rpartition(':')[2]}", find_function(text))
    net = load_features(text)
    return Features(net.frechet, lambda images: net.apply(net.variables, to_uint8(images), PRESETS["tf"])[net.layer])
