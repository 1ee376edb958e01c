"""Table 3 without people: whose face is it after a whole-face swap, asked of a recogniser (paper, Experiments)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

from ganx.igan.pairs import Pairs
from ganx.igan.trial import Trial

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


def face_swap(trial: Trial, embed: Embed) -> FaceSwap:
    """Swaps the groups that stand for the whole face and asks the recogniser whose it is."""
    chosen, after = trial.swap("face")
    return _asked(trial.fresh, after, embed, chosen)


def face_collage(trial: Trial, embed: Embed) -> FaceSwap:
    """The control that knows the masks: features inside either face come from the donor."""
    return _asked(trial.fresh, trial.collage("face"), embed, {})


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
