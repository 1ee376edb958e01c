"""Units that draw artefacts: found by the Fréchet distance of the images that excite them, removed by ablation (§8)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ganx.dissection.interventions import Edit, Units, unit_mask
from ganx.dissection.samples import activations, check_stage, latents
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.metrics.frechet import frechet
from ganx.metrics.moments import Moments, moments

Features = Callable[[jax.Array], jax.Array]
"""Images `[n, H, W, C]` in [-1, 1] to features `[n, d]`; traceable."""


@dataclasses.dataclass(frozen=True)
class Artifacts:
    """Per-unit distances.

    Attributes:
      distance: float64 `[U]`, Fréchet distance between real images and those that excite the unit most.
      order: int64 `[U]`, worst unit first.
    """

    distance: np.ndarray
    order: np.ndarray

    def worst(self, n: int = 20, guard: float = np.inf) -> np.ndarray:
        """The `n` worst units whose distance is below `guard` (beyond it images are too poor to judge)."""
        return self.order[self.distance[self.order] < guard][:n]


def features_of(
    gan: Gan, stage: str, features: Features, key: jax.Array, n: int, units: Units = (), batch: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Features `[n, d]` of generated images with `units` ablated, and spatial maxima of all units `[n, U]` before."""
    count = check_stage(gan, stage)[2]
    batch = min(batch, n)
    alpha = jnp.asarray(unit_mask(units, count))
    found, peaks = [], []
    for start in range(0, n, batch):
        index = np.minimum(np.arange(start, start + batch), n - 1)
        x, peak = _look(gan, stage, features, key, jnp.asarray(index, jnp.int32), alpha)
        rows = min(batch, n - start)
        found.append(np.asarray(x)[:rows])
        peaks.append(np.asarray(peak)[:rows])
    return np.concatenate(found), np.concatenate(peaks)


@functools.partial(jax.jit, static_argnames=("stage", "features"))
def _look(
    gan: Gan, stage: str, features: Features, key: jax.Array, index: jax.Array, alpha: jax.Array
) -> tuple[jax.Array, jax.Array]:
    z, label = latents(gan, key, index)
    act, _ = activations(gan, stage, z, label)
    images = gan.since(stage, act.with_features(Edit(alpha, jnp.zeros(()))(act.features)))
    return features(images), act.features.max((1, 2))


def artifact_scores(x: np.ndarray, peaks: np.ndarray, real: Moments, most: int) -> Artifacts:
    """Judges units by the images that excite them.

    Args:
      x: features `[n, d]` of generated images.
      peaks: `[n, U]`, spatial maxima of the units in them.
      real: moments of real images' features.
      most: how many images count for each unit, those of its largest maxima.
    """
    if not 1 < most <= len(x):
        raise GanxError(f"each unit is judged by {most} images, but there are {len(x)}; take 2 to {len(x)}")
    order = np.argsort(-peaks, axis=0, kind="stable")[:most]
    distance = np.array([frechet(moments(x[rows], real.ddof), real).value for rows in order.T])
    return Artifacts(distance, np.argsort(-distance, kind="stable"))


def without(
    gan: Gan, stage: str, units: Units, features: Features, real: Moments, key: jax.Array, n: int, batch: int = 64
) -> float:
    """Fréchet distance between real images and `n` generated ones with units ablated everywhere."""
    x, _ = features_of(gan, stage, features, key, n, units, batch)
    return frechet(moments(x, real.ddof), real).value


def sequential(
    gan: Gan,
    stage: str,
    candidates: Units,
    features: Features,
    real: Moments,
    key: jax.Array,
    n: int = 1000,
    batch: int = 64,
    least: float = 0.01,
    progress: Callable[[str], None] | None = None,
) -> np.ndarray:
    """Of the candidates, one after the other, those whose ablation brings the images nearer to real ones, int64 `[k]`.

    A unit may stand out for what only few images should have, such as glasses. No person looks at the images here (§8),
    so the distance itself says which suspects to remove (ours): those that lower it by a share `least` at least.
    """
    kept: list[int] = []
    best = without(gan, stage, kept, features, real, key, n, batch)
    for unit in np.asarray(candidates, np.int64).tolist():
        distance = without(gan, stage, [*kept, unit], features, real, key, n, batch)
        if distance < (1 - least) * best:
            kept.append(unit)
            best = distance
            if progress:
                progress(f"{stage}: without units {', '.join(map(str, kept))} the distance is {best:.4g}")
    return np.array(kept, np.int64)


@dataclasses.dataclass(frozen=True)
class Repair:
    """Fréchet distances to real images before and after ablation, and with as many random units ablated instead."""

    units: np.ndarray
    before: float
    after: float
    random: float


def repair(
    gan: Gan,
    stage: str,
    units: Units,
    features: Features,
    real: Moments,
    key: jax.Array,
    n: int = 1000,
    batch: int = 64,
) -> Repair:
    """Ablates units everywhere and measures what that does, on the same latents each time."""
    count = gan.shapes[stage][-1]
    units = np.asarray(units, np.int64)
    others = np.setdiff1d(np.arange(count), units)
    seed = int(jax.random.bits(jax.random.fold_in(key, 0), dtype=jnp.uint32))
    drawn = np.random.default_rng(seed).permutation(others)[: len(units)]

    def distance(ablated: Units) -> float:
        return without(gan, stage, ablated, features, real, key, n, batch)

    return Repair(units, distance(()), distance(units), distance(drawn))
