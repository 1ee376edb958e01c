"""Re-scoring (Shen & Zhou 2021, §4.2): what each direction does to what a predictor sees.

Every sample is edited by the same step along each direction and scored again; the same samples serve all directions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np

from ganx import codes
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.metrics.frechet import frechet
from ganx.metrics.moments import moments
from ganx.sefa.batches import Samples, begin, draw_samples, score_codes
from ganx.sefa.directions import Directions
from ganx.sefa.edit import move
from ganx.sefa.predictors import Predictor, attribute_of


@dataclasses.dataclass(frozen=True)
class Rescore:
    """What directions do to scores.

    Attributes:
      labels: name of each direction.
      columns: names of the scores, see `Predictor`.
      change: float64 `[directions, columns]`, mean change of the score.
      error: float64, its standard error.
      consistent: float64, of the samples whose score changes at all, the share that moves the way of the mean.
      before: float64 `[columns]`, mean score of the unedited samples.
      alpha: the step, in the code.
      n: how many samples.
    """

    labels: tuple[str, ...]
    columns: tuple[str, ...]
    change: np.ndarray
    error: np.ndarray
    consistent: np.ndarray
    before: np.ndarray
    alpha: float
    n: int

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that columns belong to."""
        return tuple(dict.fromkeys(attribute_of(column) for column in self.columns))

    def effects(self) -> np.ndarray:
        """float64 `[directions, attributes]`: how far an attribute's mean scores move, never negative.

        |change| of an attribute with one column; of one with several values, half the sum over them (what is gained
        by some values is lost by others).
        """
        groups = [[attribute_of(c) == a for c in self.columns] for a in self.attributes]
        return np.stack([np.abs(self.change[:, g]).sum(1) / (2 if sum(g) > 1 else 1) for g in groups], 1)

    def shares(self) -> np.ndarray:
        """float64 `[directions, attributes]`: each effect as a share of all the direction's effects (0 without any)."""
        effects = self.effects()
        total = effects.sum(1, keepdims=True)
        return np.divide(effects, total, out=np.zeros_like(effects), where=total > 0)

    def best(self) -> tuple[Match, ...]:
        """For each attribute the direction that moves it most, and how cleanly."""
        effects, shares = self.effects(), self.shares()
        found = []
        for a, name in enumerate(self.attributes):
            row = int(effects[:, a].argmax())
            column = self._column(row, name)
            found.append(
                Match(
                    name,
                    self.columns[column],
                    row,
                    float(self.change[row, column]),
                    float(self.error[row, column]),
                    float(shares[row, a]),
                    float(self.consistent[row, column]),
                )
            )
        return tuple(found)

    def diagonal(self) -> float:
        """Mean share of the attribute in the effects of the direction that moves it most: 1 is no cross-talk."""
        return float(np.mean([match.share for match in self.best()]))

    def names(self, sigmas: float = 3.0) -> tuple[tuple[str, int], ...]:
        """A label and a sign for each direction: the column that it moves most, "" where none clearly moves.

        Args:
          sigmas: standard errors that a change must exceed.
        """
        effects, found = self.effects(), []
        for row in range(len(self.labels)):
            column = self._column(row, self.attributes[int(effects[row].argmax())])
            change, error = self.change[row, column], self.error[row, column]
            clear = abs(change) > max(sigmas * error, 0.01)
            found.append((self.columns[column] if clear else "", -1 if clear and change < 0 else 1))
        return tuple(found)

    def _column(self, row: int, attribute: str) -> int:
        own = np.array([attribute_of(column) == attribute for column in self.columns])
        return int(np.where(own, np.abs(self.change[row]), -1).argmax())


@dataclasses.dataclass(frozen=True)
class Match:
    """The direction that moves an attribute most.

    `share` is the attribute's part of the direction's effects, `change` the mean change of `column`'s score, with its
    standard `error`; `consistent` as in `Rescore`.
    """

    attribute: str
    column: str
    direction: int
    change: float
    error: float
    share: float
    consistent: float


def rescore(
    gan: Gan,
    predictor: Predictor,
    directions: Directions,
    key: jax.Array,
    n: int = 2_000,
    alpha: float | Sequence[float] = 1.0,
    psi: float = 1.0,
    cutoff: int | None = None,
    samples: Samples | None = None,
    progress: Callable[[str], None] | None = None,
) -> Rescore:
    """Mean change of each score along each direction.

    Args:
      gan: any family.
      predictor: see `as_predictor`.
      directions: from any method; those in the code move their own layers, those in the z of a style-based generator
        move its latents.
      key: of the samples, the same for all directions.
      n: how many.
      alpha: the step, a distance in the code; one for all (the authors' advice) or one for each direction.
      psi, cutoff: truncation of the samples, by `psi` in the first `cutoff` layers (all if None).
      samples: instead of drawing them.
      progress: told about each direction.

    Raises:
      GanxError: fewer than two samples, which have no standard error; a step that is not finite, or 0; scores that are
        not finite.
    """
    steps = np.broadcast_to(np.asarray(alpha, np.float32), (len(directions),))
    if not (np.isfinite(steps).all() and steps.all()):
        raise GanxError(f"a step of {alpha} moves nothing anywhere; give a length such as 1")
    samples = draw_samples(gan, key, n, psi, cutoff) if samples is None else samples
    if len(samples.codes) < 2:
        raise GanxError("one sample says nothing of others; ask for two at least, better 2000")
    before = score_codes(gan, predictor, samples.codes, samples.label)
    rows = []
    for i, vector in enumerate(directions.vectors):
        if progress:
            progress(f"direction {i + 1} of {len(directions)}")
        moved = moved_codes(gan, samples, directions, vector, float(steps[i]))
        change = score_codes(gan, predictor, moved, samples.label).astype(np.float64) - before
        rows.append(_statistics(change))
    change, error, consistent = (np.stack(x) for x in zip(*rows, strict=True))
    labels = tuple(directions.label(i) for i in range(len(directions)))
    mean = before.mean(0, dtype=np.float64)
    return Rescore(labels, predictor.columns, change, error, consistent, mean, float(steps.mean()), len(samples.codes))


def frechet_along(
    gan: Gan,
    features: Callable[[jax.Array], jax.Array],
    directions: Directions,
    key: jax.Array,
    n: int = 2_000,
    alphas: Sequence[float] = (1.0, 2.0, 3.0),
    psi: float = 1.0,
    cutoff: int | None = None,
) -> np.ndarray:
    """Fréchet distance between edited and unedited samples, float64 `[directions, alphas]`.

    Args:
      features: images float32 `[n, H, W, C]` in [-1, 1] to features `[n, d]`; Inception's for the usual FID.
      alphas: steps, distances in the code.
      psi, cutoff: truncation of the samples.
    """
    samples = draw_samples(gan, key, n, psi, cutoff)
    width = jax.eval_shape(features, jax.ShapeDtypeStruct((1, *gan.spec.shapes[-1]), np.float32)).shape[-1]
    reader = Predictor(tuple(map(str, range(width))), features)
    base = moments(score_codes(gan, reader, samples.codes, samples.label))
    found = np.zeros((len(directions), len(alphas)))
    for i, vector in enumerate(directions.vectors):
        for j, alpha in enumerate(alphas):
            moved = moved_codes(gan, samples, directions, vector, alpha)
            found[i, j] = frechet(base, moments(score_codes(gan, reader, moved, samples.label))).value
    return found


def moved_codes(gan: Gan, samples: Samples, directions: Directions, vector: np.ndarray, alpha: float) -> np.ndarray:
    """Codes of samples one step along a direction, in its space and layers: `[n, *code]`.

    Latents of a style-based generator are mapped and truncated again once they have moved.
    """
    if directions.space == "z" and codes.style_based(gan):
        return begin(gan, samples.z + alpha * vector, samples.label, samples.psi, samples.cutoff).codes
    return np.asarray(move(gan, samples.codes, vector, [alpha], directions.layers)[:, 0])


def _statistics(change: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean `[columns]`, standard error and sign consistency of changes `[n, columns]`."""
    mean = change.mean(0)
    error = change.std(0, ddof=1 if len(change) > 1 else 0) / np.sqrt(len(change))
    moved = change != 0
    along = (np.sign(change) == np.sign(mean)) & moved
    count = moved.sum(0)
    return mean, error, np.divide(along.sum(0), count, out=np.zeros_like(mean), where=count > 0)
