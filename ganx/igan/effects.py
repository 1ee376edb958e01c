"""What each group does to the image, and which part it therefore stands for (ours).

Groups are matched to parts by effect: swapping a group alone, and seeing where images change. Matching by activation
picks groups whose maps look right but which the later layers ignore.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Activation, Gan
from ganx.igan.cut import Cut
from ganx.igan.swaps import swap_each_group


@dataclasses.dataclass(frozen=True)
class Effects:
    """Mean squared change of the image when a group alone is swapped, over pairs.

    Attributes:
      maps: float32 `[c, H, W]`, the mean over channels and pairs.
      energy: sum of it inside each region, `[c, regions]`; regions cover each pixel at most once.
    """

    maps: np.ndarray
    energy: np.ndarray


def group_effects(
    gan: Gan, cut: Cut, a: Activation, b: Activation, masks: jax.Array, labels: jax.Array, groups: int, batch: int = 8
) -> Effects:
    """Swaps every group alone on every pair.

    Args:
      gan, cut: where.
      a, b: what crosses the cut for the images and for their donors, from `cut.lower`.
      masks: regions of the images, bool or share, `[n, regions, H, W]`.
      labels: int32 `[m]`.
      groups: number of groups.
      batch: pairs at once; `groups` times as many images are drawn together.
    """
    count = len(a.features)
    parts = [slice(start, start + batch) for start in range(0, count, batch)]
    found = [_effects(gan, cut, a[part], b[part], jnp.asarray(masks[part]), labels, groups) for part in parts]
    maps, energy = (np.sum([np.asarray(each) for each in kind], 0) / count for kind in zip(*found, strict=True))
    return Effects(maps, energy)


@functools.partial(jax.jit, static_argnames=("cut", "groups"))
def _effects(
    gan: Gan, cut: Cut, a: Activation, b: Activation, masks: jax.Array, labels: jax.Array, groups: int
) -> tuple[jax.Array, jax.Array]:
    change = swap_each_group(gan, cut, a, b, labels, groups) - cut.upper(gan, a)
    square = jnp.square(change).mean(-1)
    return square.sum(1), jnp.einsum("cnhw,nrhw->cr", square, masks.astype(jnp.float32))


def effect_share(energy: np.ndarray) -> float:
    """Share of a group's effect that falls into its best region, weighted by effect: 1 if no group spills.

    `energy` is `[c, regions]`; NaN if no group has any effect.
    """
    total = energy.sum()
    return float(energy.max(1).sum() / total) if total > 0 else float("nan")


def match_regions(energy: np.ndarray) -> np.ndarray:
    """The region where each group has the largest share of its effect, int `[c]`; -1 for a group without effect."""
    return np.where(energy.sum(1) > 0, energy.argmax(1), -1)


def groups_of(energy: np.ndarray, region: int, least: float = 0.0) -> tuple[int, ...]:
    """The groups that stand for a region: matched to it, with at least `least` of the effect that all groups have
    there. The strongest first."""
    strength = energy[:, region]
    chosen = (match_regions(energy) == region) & (strength >= least * strength.sum())
    return tuple(int(group) for group in np.argsort(-strength) if chosen[group])
