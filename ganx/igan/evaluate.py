"""Tables 2 and 4 without people: how well groups of filters stand for parts of the image (paper, Experiments).

Groups are matched to parts on one half of the pairs, and measured on the other half.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Gan
from ganx.igan import locality as local
from ganx.igan.edits import mask_at
from ganx.igan.effects import effect_share
from ganx.igan.files import Concepts
from ganx.igan.filters import filter_stats
from ganx.igan.matched import CARRIED
from ganx.igan.pairs import Pairs
from ganx.igan.similarity import exclusivity, own_parts, purity, similarity
from ganx.igan.trial import Trial, trials
from ganx.igan.truth import part_names
from ganx.segment import Segmenter

OTHERS = 3  # images that the donor must be told from (paper, table 2)


@dataclasses.dataclass(frozen=True)
class PartScore:
    """How well one part is moved from a donor into another image; see `locality` for the measures.

    Attributes:
      groups: that stand for the part, and how far each is swapped.
      mean, median, ratio: locality in its three aggregations, lower is better.
      transfer, approach: how far the part changed, and how near to the donor's it came; 1 is best.
      choice: share of the pairs whose donor is told from three others by the part; by chance 0.25.
      pairs: that counted for locality.
    """

    groups: dict[int, float]
    mean: float
    median: float
    ratio: float
    transfer: float
    approach: float
    choice: float
    pairs: int


@dataclasses.dataclass(frozen=True)
class Scores:
    """What is known of one grouping of one generator's filters; NaN where a measure means nothing.

    Attributes:
      parts: by name of the part.
      effect_share: share of a group's effect that falls into its best part.
      exclusivity, within, between: see `similarity`.
      purity: share of filters that are most active in the part of most filters of their group.
      dead: filters that never fire.
    """

    parts: dict[str, PartScore]
    effect_share: float = np.nan
    exclusivity: float = np.nan
    within: float = np.nan
    between: float = np.nan
    purity: float = np.nan
    dead: int = 0


def evaluate(trial: Trial, parts: Sequence[str] = ("mouth", "eyes", "hair"), carried: float = CARRIED) -> Scores:
    """Scores of one grouping.

    Args:
      trial: the grouping, matched to parts.
      parts: to be moved, by name.
      carried: how much of a donor's part its groups must bring along, see `Matching`; more spills more.
    """
    found = {}
    for part in parts:
        chosen, after = trial.swap(part, carried)
        found[part] = _score(trial.fresh, after, trial.mask(part), chosen)
    energy = trial.matching.energy
    within, between, shared, pure, dead = map(float, _alike(trial.fresh, trial.matching.labels, len(energy)))
    return Scores(found, effect_share(energy), shared, within, between, pure, int(dead))


def evaluate_collage(trial: Trial, parts: Sequence[str]) -> Scores:
    """Feature collaging (Suzuki et al. 2018) on the pairs of a trial: it knows the masks, which groups do without."""
    return Scores({part: _score(trial.fresh, trial.collage(part), trial.mask(part), {}) for part in parts})


def score_all(
    gan: Gan,
    found: Mapping[str, Concepts],
    segmenter: Segmenter,
    key: jax.Array,
    pairs: int = 128,
    parts: Sequence[str] = (),
    carried: float = CARRIED,
) -> dict[str, Scores]:
    """Scores of several groupings at one cut with the controls of every table, all on the same pairs.

    The controls are random groups of the sizes of the first grouping, and collaging, which knows the masks.
    """
    parts, tried = parts or _usual_parts(segmenter), trials(gan, found, segmenter, key, pairs)
    scores = {name: evaluate(each, parts, carried) for name, each in tried.items()}
    return {**scores, "collaging": evaluate_collage(next(iter(tried.values())), parts)}


def _usual_parts(segmenter: Segmenter) -> tuple[str, ...]:
    """Those of the paper's tables where there are such parts, else the first few."""
    names = part_names(segmenter)
    return tuple(name for name in ("hair", "eyes", "mouth") if name in names) or names[:4]


def _score(pairs: Pairs, after: jax.Array, mask: jax.Array, groups: dict[int, float]) -> PartScore:
    *numbers, counted = (float(x) for x in _measures(pairs, after, mask))
    mean, median, ratio, transfer, approach, choice = numbers
    return PartScore(groups, mean, median, ratio, transfer, approach, choice, int(counted))


@jax.jit
def _measures(pairs: Pairs, after: jax.Array, mask: jax.Array) -> tuple[jax.Array, ...]:
    usual = local.usual_change(pairs.before, mask)
    near = local.locality(pairs.before, after, mask, usual)
    others = jnp.stack([jnp.roll(pairs.donor, i + 1, 0) for i in range(OTHERS)], 1)
    right = local.choice(after, pairs.donor, others, mask)
    seen = mask.any((1, 2))
    accuracy = (right & seen).sum() / jnp.maximum(seen.sum(), 1)
    how_far = (f(pairs.before, after, pairs.donor, mask, usual) for f in (local.transfer, local.approach))
    return (near.mean, near.median, near.ratio, *how_far, accuracy, near.pairs)


@functools.partial(jax.jit, static_argnames="groups")
def _alike(pairs: Pairs, labels: jax.Array, groups: int) -> tuple[jax.Array, ...]:
    features = jax.nn.relu(pairs.a.features)  # of leaky units, too, only what is above zero is active
    stats = filter_stats(features)
    same = similarity(stats, labels)
    shares = mask_at(pairs.masks, features.shape[1])
    truth = jnp.where(stats.alive, own_parts(features, shares), -1)
    pure = purity(labels, truth, groups, pairs.masks.shape[1])
    return same.within, same.between, exclusivity(features, labels, groups), pure, (~stats.alive).sum()
