"""The Inception score (Salimans et al. 2016): how sure a classifier is of each image, and how varied all are."""

from __future__ import annotations

import itertools

import numpy as np

from ganx.errors import GanxError

_CHUNK = 4096


def inception_score(logits: np.ndarray, splits: int = 10, order: np.ndarray | None = None) -> tuple[float, float]:
    """exp(mean KL(p(y|x) || p(y))): mean and population deviation over contiguous splits, in float64 on the host.

    Args:
      logits: `[n, classes]`, "logits_unbiased" of the Inception of 2015 for the usual number.
      splits: number of parts; part i is `[i n // splits, (i + 1) n // splits)`.
      order: a permutation of the samples to apply first (torch-fidelity: `RandomState(2020).permutation(n)`).

    Raises:
      GanxError: fewer samples than splits.
    """
    n = len(logits)
    if not 1 <= splits <= n:
        raise GanxError(f"{n} images cannot be split into {splits}; give more images or fewer splits")
    rows = np.arange(n) if order is None else np.asarray(order)
    bounds = [i * n // splits for i in range(splits + 1)]
    scores = [_score(logits, rows[a:b]) for a, b in itertools.pairwise(bounds)]
    return float(np.mean(scores)), float(np.std(scores))


def _score(logits: np.ndarray, rows: np.ndarray) -> float:
    """exp(mean Σ p log p - Σ q log q), q the mean of p: one pass, a chunk at a time."""
    total, plogp = np.zeros(logits.shape[1]), 0.0
    for i in range(0, len(rows), _CHUNK):
        x = logits[rows[i : i + _CHUNK]].astype(np.float64)
        x = x - x.max(1, keepdims=True)
        logp = x - np.log(np.exp(x).sum(1, keepdims=True))
        p = np.exp(logp)
        total += p.sum(0)
        plogp += float(np.where(p > 0, p * logp, 0.0).sum())
    q = total / len(rows)
    some = q > 0
    return float(np.exp(plogp / len(rows) - (q[some] * np.log(q[some])).sum()))
