"""The supervised baseline: InterFaceGAN (Shen et al. 2020), the normal of a plane that separates an attribute."""

from __future__ import annotations

import jax
import numpy as np

from ganx import codes
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.sefa.batches import draw_samples, one_code, score_codes
from ganx.sefa.directions import Directions, code_space, moved_layers
from ganx.sefa.layers import Layers
from ganx.sefa.predictors import Predictor
from ganx.sefa.svm import logistic, support_vectors

SOLVERS = {"svm": support_vectors, "logistic": logistic}
TRAIN = 0.7  # of the chosen samples; the rest validate


class InseparableError(GanxError):
    """Scores that leave too few samples on one side of a plane."""


def interfacegan(
    gan: Gan,
    predictor: Predictor,
    key: jax.Array,
    n: int = 10_000,
    attributes: tuple[str, ...] = (),
    layers: Layers = "all",
    ratio: float = 0.02,
    solver: str = "svm",
    space: str | None = None,
) -> Directions:
    """One direction for each column of a predictor, from `n` scored samples.

    Args:
      gan: any family.
      predictor: scores pictures.
      key: of the samples.
      n: how many pictures are drawn and scored (the paper has 500,000).
      attributes: columns of the predictor. By default all but those that (almost) never change over the samples.
      layers: which layers an edit moves.
      ratio, solver: see `boundary`.
      space: "w" or "z", in which the plane lies; None for the code.

    Returns:
      `Directions` named after the columns; values are the planes' accuracy on held-out samples.
    """
    space = space or code_space(gan)
    samples = draw_samples(gan, key, n)
    scores = score_codes(gan, predictor, samples.codes, samples.label)
    x = samples.z if space == "z" and codes.style_based(gan) else one_code(gan, samples.codes)
    names: list[str] = []
    vectors: list[np.ndarray] = []
    accuracies: list[float] = []
    for name in attributes or predictor.columns:
        column = scores[:, predictor.column(name)]
        if np.ptp(column) == 0:
            if attributes:
                raise GanxError(f"{name} never changes over {n} samples; draw more, or leave it out")
            continue
        try:
            vector, accuracy = boundary(x, column, ratio, solver)
        except InseparableError:
            if attributes:
                raise
            continue
        names, vectors, accuracies = [*names, name], [*vectors, vector], [*accuracies, accuracy]
    if not names:
        raise GanxError(f"no attribute changes enough over {n} samples; draw more, or give another predictor")
    order = np.argsort(-np.array(accuracies), kind="stable")
    chosen, stages = moved_layers(gan, layers)
    found = Directions(
        chosen,
        stages,
        np.stack(vectors),
        np.array(accuracies, np.float32),
        space,
        "interfacegan",
        len(names),
        names=tuple(names),
    )
    return found.pick(order)


def boundary(
    x: np.ndarray,
    scores: np.ndarray,
    ratio: float = 0.02,
    solver: str = "svm",
    invalid: float | None = None,
    seed: int = 0,
) -> tuple[np.ndarray, float]:
    """The unit normal of the plane between the samples that score highest and lowest.

    Args:
      x: codes `[n, d]`, or `[n, layers, d]`, which are flattened.
      scores: `[n]`.
      ratio: what share of the samples is taken at either end, or how many if above 1; at most half.
      solver: "svm" or "logistic".
      invalid: samples with this score are left out.
      seed: shuffles the chosen samples, of which 0.7 train and the others validate.

    Returns:
      The normal float32 `[d]` (or `[layers, d]`), pointing to high scores, and its accuracy on held-out samples.
    """
    if solver not in SOLVERS:
        raise unknown("solver", solver, SOLVERS)
    if scores.shape != (len(x),):
        raise GanxError(f"{len(x)} codes need as many scores, not {list(scores.shape)}")
    rows = np.arange(len(x)) if invalid is None else np.flatnonzero(scores != invalid)
    high, low = _extremes(rows, scores, ratio)
    shuffle = np.random.RandomState(seed)  # the legacy generator, so that splits are those of the published code
    shuffle.shuffle(high)
    shuffle.shuffle(low)
    cut = int(len(high) * TRAIN)
    if cut == 0:
        raise InseparableError(f"{len(rows)} samples leave none to train on at a ratio of {ratio}; draw more")
    flat = x.reshape(len(x), -1)
    train = np.concatenate([high[:cut], low[:cut]])
    found = SOLVERS[solver](flat[train], np.arange(2 * cut) < cut)
    held = np.concatenate([high[cut:], low[cut:]])
    right = (flat[held] @ found.weights + found.intercept > 0) == (np.arange(len(held)) < len(held) // 2)
    length = np.linalg.norm(found.weights)
    if not length > 0:
        raise GanxError("the scores do not depend on the code at all; give another attribute")
    return (found.weights / length).astype(np.float32).reshape(x.shape[1:]), float(right.mean())


def _extremes(rows: np.ndarray, scores: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    if ratio <= 0:
        raise GanxError(f"a ratio of {ratio} takes no samples; give a share such as 0.02, or a number of samples")
    order = rows[np.argsort(-scores[rows], kind="stable")]
    count = min(int(len(order) * ratio) if ratio <= 1 else int(ratio), len(order) // 2)
    if count < 2:
        raise InseparableError(f"{len(order)} samples leave {count} at either end at a ratio of {ratio}; draw more")
    high, low = order[:count].copy(), order[len(order) - count :].copy()
    if scores[high].min() == scores[low].max() and scores[high].max() == scores[low].min():
        raise InseparableError("the chosen samples all score alike; draw more, or choose a smaller ratio")
    # Where scores tie across the middle (0 and 1 only), a sample belongs to the side of its score.
    middle = (scores[high].max() + scores[low].min()) / 2
    high, low = high[scores[high] > middle], low[scores[low] <= middle]
    same = min(len(high), len(low))
    return high[:same], low[len(low) - same :]


def project(direction: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    """The unit vector of what is left of a direction `[d]` outside the span of conditions `[k, d]`.

    An edit along it leaves the conditions' signed distances as they are (conditional manipulation).
    """
    n, rows = np.asarray(direction, np.float64), np.atleast_2d(np.asarray(conditions, np.float64))
    if rows.shape[1:] != n.shape:
        raise GanxError(f"conditions have shape {list(rows.shape)}; give [k, {len(n)}]")
    basis, singular, _ = np.linalg.svd(rows.T, full_matrices=False)
    basis = basis[:, singular > 1e-7 * max(singular.max(initial=0.0), 1e-300)]
    rest = n - basis @ (basis.T @ n)
    rest = rest - basis @ (basis.T @ rest)  # once more, for what rounding left
    length = np.linalg.norm(rest)
    if length <= 1e-6 * np.linalg.norm(n):
        raise GanxError("nothing of the direction is left outside the conditions; condition on fewer attributes")
    return (rest / length).astype(np.float32)


def interpolate(
    code: np.ndarray,
    direction: np.ndarray,
    low: float = -3.0,
    high: float = 3.0,
    steps: int = 10,
    mode: str = "absolute",
) -> np.ndarray:
    """Codes float32 `[n, steps, ...]` of `code` `[n, d]` or `[n, layers, d]` along a unit `direction` `[d]`.

    In mode "absolute" the signed distance to the plane through the origin is set to each of the equally spaced
    amounts; in "relative", and for codes with layers, the amounts are added.
    """
    if mode not in ("absolute", "relative"):
        raise unknown("mode", mode, ("absolute", "relative"))
    code, n = np.asarray(code, np.float32), np.asarray(direction, np.float32)
    amounts = np.linspace(low, high, steps, dtype=np.float32)
    if code.ndim == 3:
        return code[:, None] + amounts[:, None, None] * n
    if mode == "absolute":
        code = code - (code @ n)[:, None] * n
    return code[:, None] + amounts[:, None] * n
