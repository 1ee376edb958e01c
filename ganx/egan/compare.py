"""How well a generator covers what its source holds, for runs of any method side by side."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ganx import codes
from ganx.data import open_source
from ganx.data.worlds import PictureWorld
from ganx.data.worlds.gaussians import Gaussians
from ganx.egan.points import Coverage, coverage
from ganx.gan import Gan

_REALS = 1000


def cloud(gan: Gan, key: jax.Array, n: int) -> np.ndarray:
    """Points float32 `[n, 2]` of a generator of points."""
    return np.asarray(gan(gan.latents(key, n))).reshape(n, -1)


def modes(gan: Gan, key: jax.Array, n: int) -> Coverage | None:
    """What `n` points cover of `world:gaussians`; None for any other source."""
    if not gan.spec.data.startswith("world:gaussians"):
        return None
    world = open_source(gan.spec.data)
    assert isinstance(world, Gaussians)
    return coverage(world, cloud(gan, key, n), np.asarray(world.gather(np.arange(_REALS)).image))


def balance(gan: Gan, key: jax.Array, n: int) -> dict[str, float] | None:
    """Total variation between the attributes of `n` generated and of as many real images, in [0, 1], by attribute.

    0 is a perfect balance. None where the source is no world of pictures that can be read.
    """
    if not gan.spec.data.startswith("world:") or gan.spec.channels != 3:
        return None
    world = open_source(gan.spec.data)
    if not isinstance(world, PictureWorld):
        return None
    world = dataclasses.replace(world, size=gan.spec.resolution)
    label = gan.labels(key, n)
    fakes = codes.paint(gan, codes.encode_jit(gan, gan.latents(key, n), label=label), label=label)
    reals = world.gather(np.arange(n)).image
    seen = [jax.tree.map(np.asarray, world.read(jnp.asarray(images))) for images in (fakes, reals)]
    return {name: _apart(seen[0][name], seen[1][name], len(world.ATTRS[name])) for name in seen[0]}


def _apart(a: np.ndarray, b: np.ndarray, values: int) -> float:
    histograms = [np.bincount(x[x >= 0], minlength=values) / max((x >= 0).sum(), 1) for x in (a, b)]
    return float(np.abs(histograms[0] - histograms[1]).sum() / 2)
