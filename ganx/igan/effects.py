"""What each group does to the image, and which part it therefore stands for (ours).

Groups are matched to parts by effect: swapping a group alone, and seeing where images change. Matching by activation
picks groups whose maps look right but which the later layers ignore.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Activation, Gan
from ganx.igan.cut import Cut
from ganx.igan.swaps import swap_each_group

LEAST = 0.02  # of all groups' effect on a part: a group with less does not stand for it


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


def by_spill(energy: np.ndarray, regions: Sequence[int]) -> tuple[int, ...]:
    """The groups that do something to some regions together, those that spill least first.

    Args:
      energy: `[c, regions]`.
      regions: numbers of them.

    Returns:
      Numbers of groups; () if none has any effect there.
    """
    inside = energy[:, list(regions)].sum(1)
    able = np.flatnonzero(inside >= LEAST * inside.sum()) if inside.sum() > 0 else np.zeros(0, int)
    share = inside[able] / energy[able].sum(1)
    return tuple(int(group) for group in able[np.argsort(-share, kind="stable")])
