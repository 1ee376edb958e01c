"""Table 3 without people: whose face is it after a whole-face swap, asked of a recogniser (paper, Experiments)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Gan
from ganx.igan.cut import Cut
from ganx.igan.edits import select
from ganx.igan.matched import match, members
from ganx.igan.pairs import Pairs, collaged, draw_pairs, swapped
from ganx.igan.truth import part_names
from ganx.segment import Segmenter

FALSE_ACCEPTS = 0.01
"""Share of pairs of strangers that the recogniser may take for one person; the paper does not state its threshold."""

Embed = Callable[[jax.Array], jax.Array]
"""Images `[n, H, W, 3]` in [-1, 1] to who is in them, `[n, d]`; distances are Euclidean."""


@dataclasses.dataclass(frozen=True)
class FaceSwap:
    """A whole face brought from a donor into another image.

    Attributes:
      groups: that stand for the face, and how far each is swapped; none for collaging.
      accepted: share of swapped images that the recogniser takes for the donor, at most `FALSE_ACCEPTS` of strangers
        being taken for each other.
      nearer: share whose face is nearer to the donor's than to the one that was there; by chance a half.
      distance: median distance to the donor over the median distance of strangers: 0 the same face, 1 a stranger's.
    """

    groups: dict[int, float]
    accepted: float
    nearer: float
    distance: float


def face_swap(
    gan: Gan, cut: Cut, labels: jax.Array, groups: int, parts: Segmenter, key: jax.Array, embed: Embed, pairs: int
) -> FaceSwap:
    """Swaps the groups that stand for the whole face and asks whose it is.

    Args:
      gan, cut, labels, groups: a grouping, as for `evaluate`.
      parts: names the parts of a face, see `parts_of`.
      key: decides the pairs, the same ones as for `evaluate`; may be used again.
      embed: the recogniser.
      pairs: for matching, and as many again for measuring.
    """
    match_key, fresh_key = jax.random.split(jax.random.clone(key))
    chosen = match(gan, cut, labels, groups, parts, match_key, pairs).standing_for("face")
    fresh = draw_pairs(gan, cut, parts, fresh_key, pairs)
    return _asked(fresh, swapped(gan, cut, fresh, select(labels, chosen)), embed, chosen)


def face_collage(gan: Gan, cut: Cut, parts: Segmenter, key: jax.Array, embed: Embed, pairs: int) -> FaceSwap:
    """The control that knows the masks: features inside either face come from the donor."""
    fresh = draw_pairs(gan, cut, parts, jax.random.split(jax.random.clone(key))[1], pairs)
    face = fresh.both[:, jnp.array(members("face", part_names(parts)))].any(1)
    return _asked(fresh, collaged(gan, cut, fresh, face), embed, {})


def _asked(pairs: Pairs, after: jax.Array, embed: Embed, groups: dict[int, float]) -> FaceSwap:
    before, donor, now = (np.asarray(embed(images)) for images in (pairs.before, pairs.donor, after))
    to_donor, to_before = np.linalg.norm(now - donor, axis=1), np.linalg.norm(now - before, axis=1)
    everyone = np.concatenate([before, donor])
    one, other = np.triu_indices(len(everyone), 1)
    strangers = np.linalg.norm(everyone[one] - everyone[other], axis=1)
    threshold = np.quantile(strangers, FALSE_ACCEPTS, method="lower")
    return FaceSwap(
        groups,
        float((to_donor <= threshold).mean()),
        float((to_donor < to_before).mean()),
        float(np.median(to_donor) / np.median(strangers)),
    )
