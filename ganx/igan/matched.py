"""Groups by the name of a part (ours), where parts are known on every image: by what swaps do."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.igan.controls import gan_partition
from ganx.igan.cut import Cut
from ganx.igan.edits import select
from ganx.igan.effects import by_spill, group_effects
from ganx.igan.files import Concepts
from ganx.igan.locality import transfer
from ganx.igan.pairs import Pairs, draw_pairs, swapped
from ganx.igan.truth import part_names, parts_of
from ganx.segment import Segmenter

WHOLE: dict[str, tuple[str, ...]] = {"face": ("skin", "brows", "eyes", "nose", "mouth", "glasses", "wrinkles")}
"""Names for several parts together."""


CARRIED = 0.55
"""Of a donor's part: so much is brought along by the groups that stand for it (ours; configs/igan/README.md)."""

STEPS = 32  # in which the last group comes in


@dataclasses.dataclass(frozen=True)
class Matching:
    """A grouping of filters on pairs of images whose parts are known.

    One rule says which groups stand for a part, for every grouping, so that localities are compared where as much is
    carried over: a group that hardly does anything is local, and no use. A group may stand for several parts.

    Attributes:
      gan, cut, labels: the grouping, int32 `[m]`.
      names: of the parts.
      pairs: images and donors.
      energy: what each group does to each part, and last to what is no part, `[c, parts + 1]`; see `Effects`.
    """

    gan: Gan
    cut: Cut
    labels: jax.Array
    names: tuple[str, ...]
    pairs: Pairs
    energy: np.ndarray

    def standing_for(self, part: str, carried: float = CARRIED) -> dict[int, float]:
        """The groups that stand for a part, or for one of `WHOLE`: those that spill least, until enough is carried.

        The last of them comes in only as far as that takes, so that one group more or less does not decide what is
        measured. A part of one group takes all of it.

        Args:
          part: name.
          carried: the least `transfer` of the part when they are swapped.

        Returns:
          How far an edit of the part goes with each group, in (0, 1], see `edits.select`; the strongest first. All that
          have an effect there if even they carry less; none if none has.

        Raises:
          GanxError: there is no such part.
        """
        regions = members(part, self.names)
        mask = self.pairs.both[:, jnp.array(regions, int)].any(1)

        def brings(groups: Mapping[int, float]) -> float:
            after = swapped(self.gan, self.cut, self.pairs, select(self.labels, groups))
            return float(_transfer(self.pairs, after, mask))

        chosen = _enough(by_spill(self.energy, regions), brings, carried)
        inside = self.energy[:, regions].sum(1)
        return dict(sorted(chosen.items(), key=lambda each: -inside[each[0]]))


def _enough(order: Sequence[int], brings: Callable[[Mapping[int, float]], float], carried: float) -> dict[int, float]:
    """The first groups that together bring enough, the last of several as far as that takes."""
    chosen: dict[int, float] = {}
    for group in order:
        before, chosen = chosen, {**chosen, group: 1.0}
        if brings(chosen) < carried:
            continue
        if before:
            # transfer need not grow all the way, but it crosses the limit between 0 and 1: one such place is found
            steps = bisect.bisect_left(range(1, STEPS), carried, key=lambda n: brings({**before, group: n / STEPS}))
            chosen[group] = (steps + 1) / STEPS
        break
    return chosen


_transfer = jax.jit(lambda pairs, after, mask: transfer(pairs.before, after, pairs.donor, mask))


def match(
    gan: Gan, cut: Cut, labels: jax.Array, groups: int, parts: Segmenter, key: jax.Array, pairs: int = 64
) -> Matching:
    """Swaps every group alone on pairs of images whose parts a segmenter names; the key may be used again."""
    drawn = draw_pairs(gan, cut, parts, jax.random.clone(key), pairs)
    labels = jnp.asarray(labels, jnp.int32)
    everywhere = jnp.concatenate([drawn.masks, ~drawn.masks.any(1, keepdims=True)], 1)
    energy = group_effects(gan, cut, drawn.a, drawn.b, everywhere, labels, groups).energy
    return Matching(gan, cut, labels, part_names(parts), drawn, energy)


def match_concepts(gan: Gan, concepts: Concepts, parts: Segmenter, key: jax.Array, pairs: int = 64) -> Matching:
    """`match` for groups with their cut."""
    return match(gan, concepts.cut, jnp.asarray(concepts.labels), concepts.groups, parts, key, pairs)


def groups_by_name(gan: Gan, concepts: Concepts, part: str, key: jax.Array, segmenter: str = "") -> dict[int, float]:
    """The groups that stand for a part, as a segmenter or the world that the generator learned from names it.

    See `Matching.standing_for`.

    Raises:
      GanxError: neither of them, no such part, or one that no group changes.
    """
    parts = parts_of(gan, segmenter=segmenter)
    if parts is None:
        raise GanxError(
            "parts have names where a GAN learned from a world; give another's with --segmenter, such as "
            "boxes:mouth=0.62,0.30,0.82,0.70 (TOP,LEFT,BOTTOM,RIGHT), or groups by number: --groups 3,5"
        )
    found = match_concepts(gan, concepts, parts, key).standing_for(part)
    if not found:
        raise GanxError(f"no group of {concepts.cut.stage!r} changes {part}; cut elsewhere with --stage")
    return found


def members(part: str, names: Sequence[str]) -> list[int]:
    """Where among the names a part is, or those parts that one of `WHOLE` is made of.

    Raises:
      GanxError: there is no such part.
    """
    found = [i for i, name in enumerate(names) if name == part or (part not in names and name in WHOLE.get(part, ()))]
    if not found:
        raise unknown("part", part, [*names, *(whole for whole, of in WHOLE.items() if set(of) & set(names))])
    return found


def concepts_of(gan: Gan, concepts: Concepts | None, cut: Cut, groups: int, key: jax.Array) -> Concepts:
    """The groups that a GAN came with, or its filters grouped as they are."""
    if concepts is not None:
        return concepts
    found = gan_partition(gan, cut, jax.random.clone(key), groups)  # the same filters and starts for any number
    return Concepts(cut, np.asarray(found.labels), groups)
