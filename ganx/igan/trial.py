"""A grouping of filters on trial: matched to parts on one half of the pairs, measured on the other (ours)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Gan
from ganx.igan.controls import random_labels
from ganx.igan.edits import select
from ganx.igan.files import Concepts
from ganx.igan.matched import CARRIED, Matching, match_concepts, members
from ganx.igan.pairs import Pairs, collaged, draw_pairs, swapped
from ganx.segment import Segmenter

RANDOM = "random groups"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One grouping of one generator's filters, and pairs that it was not matched on.

    Attributes:
      matching: says which groups stand for a part.
      fresh: images and donors to measure edits on.
    """

    matching: Matching
    fresh: Pairs

    def mask(self, part: str) -> jax.Array:
        """Where an edit of a part, or of one of `WHOLE`, may change the fresh images: bool `[n, H, W]`."""
        return self.fresh.both[:, jnp.array(members(part, self.matching.names))].any(1)

    def swap(self, part: str, carried: float = CARRIED) -> tuple[dict[int, float], jax.Array]:
        """What stands for a part, as `Matching.standing_for` has it, and the fresh images with that from the donors."""
        chosen, known = self.matching.standing_for(part, carried), self.matching
        return chosen, swapped(known.gan, known.cut, self.fresh, select(known.labels, chosen))

    def collage(self, part: str) -> jax.Array:
        """The control that knows the masks (Suzuki et al. 2018): all features from the donors, where the part is."""
        return collaged(self.matching.gan, self.matching.cut, self.fresh, self.mask(part))


def on_trial(gan: Gan, concepts: Concepts, segmenter: Segmenter, key: jax.Array, pairs: int = 128) -> Trial:
    """Matches a grouping to parts and draws pairs to measure it on.

    Args:
      gan, concepts: a generator and groups of its filters.
      segmenter: names the parts, see `parts_of`.
      key: decides the pairs; the same key gives every grouping of a generator the same ones, and may be used again.
      pairs: for matching, and as many again for measuring.
    """
    match_key, fresh_key = jax.random.split(jax.random.clone(key))
    matching = match_concepts(gan, concepts, segmenter, match_key, pairs)
    return Trial(matching, draw_pairs(gan, concepts.cut, segmenter, fresh_key, pairs))


def trials(
    gan: Gan, found: Mapping[str, Concepts], segmenter: Segmenter, key: jax.Array, pairs: int = 128
) -> dict[str, Trial]:
    """Groupings of one generator's filters at one cut, and random ones of the sizes of the first, on the same pairs."""
    first = next(iter(found.values()))
    shuffled = np.asarray(random_labels(jax.random.fold_in(key, 1), jnp.asarray(first.labels)))
    everything = {**found, RANDOM: dataclasses.replace(first, labels=shuffled)}
    return {name: on_trial(gan, each, segmenter, key, pairs) for name, each in everything.items()}
