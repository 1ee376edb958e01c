"""Groups by the name of a part (ours): for a world, whose parts are known on every image, by effect."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ganx.data.worlds import PictureWorld
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.igan.controls import gan_partition
from ganx.igan.cut import Cut
from ganx.igan.effects import ENOUGH, Effects, group_effects, groups_of
from ganx.igan.files import Concepts
from ganx.igan.pairs import draw_pairs
from ganx.igan.truth import part_names, world_of

WHOLE: dict[str, tuple[str, ...]] = {"face": ("skin", "brows", "eyes", "nose", "mouth", "glasses", "wrinkles")}
"""Names for several parts together."""


def world_effects(gan: Gan, concepts: Concepts, world: PictureWorld, key: jax.Array, pairs: int = 64) -> Effects:
    """What each group does to each part of the world."""
    drawn = draw_pairs(gan, concepts.cut, world, jax.random.clone(key), pairs)
    labels = jnp.asarray(concepts.labels)
    return group_effects(gan, concepts.cut, drawn.a, drawn.b, drawn.masks, labels, concepts.groups)


def standing_for(energy: np.ndarray, names: Sequence[str], part: str, enough: float = ENOUGH) -> tuple[int, ...]:
    """The groups that stand for a part, or for one of `WHOLE`, the strongest first; see `groups_of`."""
    return groups_of(energy, [names.index(name) for name in WHOLE.get(part, (part,)) if name in names], enough)


def groups_by_name(gan: Gan, concepts: Concepts, part: str, key: jax.Array) -> tuple[int, ...]:
    """The groups that stand for a part of the world that the generator learned from.

    Raises:
      GanxError: no world, no such part, or one that no group changes.
    """
    world = world_of(gan)
    if world is None:
        raise GanxError("parts have names only where a GAN learned from a world; choose groups by number: --groups 3,5")
    names = part_names(world)
    if part not in names and part not in WHOLE:
        raise unknown("part", part, [*names, *WHOLE])
    found = standing_for(world_effects(gan, concepts, world, key).energy, names, part)
    if not found:
        raise GanxError(f"no group of {concepts.cut.stage!r} changes {part}; cut elsewhere with --stage")
    return found


def concepts_of(gan: Gan, concepts: Concepts | None, cut: Cut, groups: int, key: jax.Array) -> Concepts:
    """The groups that a GAN came with, or its filters grouped as they are."""
    if concepts is not None:
        return concepts
    found = gan_partition(gan, cut, jax.random.clone(key), groups)  # the same filters and starts for any number
    return Concepts(cut, np.asarray(found.labels), groups)
