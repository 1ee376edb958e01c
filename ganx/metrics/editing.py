"""Measures of edits: locality, identity, attribute re-scoring and classification error.

Each takes images and functions of the caller's: which network judges a face or an attribute is for the user to say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError

_STILL = 1e-8  # mean squared change inside the mask below which a pair says nothing of its locality


@dataclasses.dataclass(frozen=True)
class EditLocality:
    """Change outside a part against change inside it; lower is better, 0 for an edit confined to the mask.

    Attributes:
      ratio: mean squared change outside over that inside, each averaged over pairs first.
      mean_ratio: mean of the pairs' own ratios, still pairs left out.
      still: number of pairs that hardly changed inside.
    """

    ratio: float
    mean_ratio: float
    still: int


def edit_locality(before: jax.Array, after: jax.Array, mask: jax.Array) -> EditLocality:
    """Locality of edits (IGAN). Images `[n, H, W, C]`, `mask` bool `[n, H, W]`: the part that was to change.

    Raises:
      GanxError: a mask is empty or covers the whole picture.
    """
    square = np.asarray(jnp.square(before - after).mean(-1), np.float64)
    inside = np.asarray(mask, bool)
    area = inside.sum((1, 2))
    if (area == 0).any() or (area == inside[0].size).any():
        raise GanxError("a mask is empty or covers the whole picture; leave those pairs out")
    within = (square * inside).sum((1, 2)) / area
    without = (square * ~inside).sum((1, 2)) / (inside[0].size - area)
    moved = within >= _STILL
    total = within.mean()
    ratio = float(without.mean() / total) if total > 0 else float("inf") if without.any() else 0.0
    mean_ratio = float((without[moved] / within[moved]).mean()) if moved.any() else float("nan")
    return EditLocality(ratio, mean_ratio, int((~moved).sum()))


@dataclasses.dataclass(frozen=True)
class Identity:
    """Whether a verifier takes edited faces for the person they should show.

    Attributes:
      accuracy: share of pairs at or above the threshold.
      similarity: mean cosine of the pairs.
      auc: chance that a pair is more alike than an impostor pair; NaN without impostors.
      threshold: the cosine asked for.
    """

    accuracy: float
    similarity: float
    auc: float
    threshold: float


def identity(
    edited: np.ndarray,
    person: np.ndarray,
    *,
    threshold: float | None = None,
    impostors: tuple[np.ndarray, np.ndarray] | None = None,
    false_accepts: float = 0.01,
) -> Identity:
    """Identity of pairs of face embeddings, `[n, d]` each.

    Args:
      threshold: cosine from which two faces are one person; by default the one that lets `false_accepts` of the
        impostors through.
      impostors: embeddings of pairs of different people, `[m, d]` each.

    Raises:
      GanxError: neither threshold nor impostors.
    """
    alike = _cosine(edited, person)
    strangers = None if impostors is None else _cosine(*impostors)
    if threshold is None:
        if strangers is None:
            raise GanxError("identity needs threshold= or impostors= to find one from")
        threshold = float(np.quantile(strangers, 1 - false_accepts, method="higher"))
    auc = float("nan") if strangers is None else _auc(alike, strangers)
    return Identity(float((alike >= threshold).mean()), float(alike.mean()), auc, threshold)


@dataclasses.dataclass(frozen=True)
class Rescoring:
    """How attributes' scores move along directions.

    Attributes:
      change: mean change `[directions, attributes]` from the minus end to the plus end.
      error: standard error of each.
      dominance: |entry of its own attribute| over the row's sum `[min(directions, attributes)]`.
    """

    change: np.ndarray
    error: np.ndarray
    dominance: np.ndarray


def rescoring(minus: np.ndarray, plus: np.ndarray) -> Rescoring:
    """Attribute re-scoring (SeFa, InterFaceGAN).

    Args:
      minus, plus: a predictor's scores `[directions, samples, attributes]` of the images at both ends.
    """
    moved = np.asarray(plus, np.float64) - np.asarray(minus, np.float64)
    change, error = moved.mean(1), moved.std(1, ddof=1) / np.sqrt(moved.shape[1])
    size, rows = min(change.shape), np.abs(change).sum(1)
    diagonal = np.abs(np.diagonal(change))
    dominance = np.divide(diagonal, rows[:size], out=np.zeros(size), where=rows[:size] > 0)
    return Rescoring(change, error, dominance)


@dataclasses.dataclass(frozen=True)
class ClassificationError:
    """Share of edited images whose attribute reads otherwise than asked, beside the classifier's own error.

    Attributes:
      each: by attribute.
      joint: share where any of them is wrong.
      own: the classifier's error on real images by attribute; empty where it was not measured.
      count: number of images.
    """

    each: Mapping[str, float]
    joint: float
    own: Mapping[str, float]
    count: int


def classification_error(
    predicted: Mapping[str, np.ndarray],
    requested: Mapping[str, np.ndarray],
    real: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]] | None = None,
) -> ClassificationError:
    """Attribute classification error (ModularGAN): int `[n]` values by attribute name, as read and as asked for.

    `real`: what the classifier reads off real images, and their true values.

    Raises:
      GanxError: an attribute was asked for that the classifier does not read.
    """
    wrong = _wrong(predicted, requested)
    own = {} if real is None else {name: float(flags.mean()) for name, flags in _wrong(*real).items()}
    joint = np.any(list(wrong.values()), axis=0)
    return ClassificationError({n: float(f.mean()) for n, f in wrong.items()}, float(joint.mean()), own, len(joint))


def _wrong(predicted: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    missing: Sequence[str] = [name for name in wanted if name not in predicted]
    if missing or not wanted:
        raise GanxError(f"the classifier does not read {', '.join(missing) or 'anything asked for'}; ask for others")
    return {name: np.asarray(predicted[name]) != np.asarray(values) for name, values in wanted.items()}


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def _auc(alike: np.ndarray, strangers: np.ndarray) -> float:
    """Mann and Whitney's statistic, ties counted half."""
    ranked = np.sort(strangers)
    below, upto = (np.searchsorted(ranked, alike, side=side) for side in ("left", "right"))
    return float((below + upto).mean() / (2 * len(ranked)))
