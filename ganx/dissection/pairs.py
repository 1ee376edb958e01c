"""Where a class is and where it could be: what the search for causal units is trained on (§6.2)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx.dissection.effects import cut, segmented
from ganx.dissection.interventions import pool
from ganx.dissection.samples import Samples
from ganx.errors import GanxError
from ganx.gan import Activation
from ganx.segment import index_of, membership

CELLS = 5
"""Cells tried in every candidate image."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Pairs:
    """Images that show a class, and images that it can be put into.

    Attributes:
      present, candidate: activations at the stage, `n` samples each, on the host.
      present_cell, candidate_cell: int `[n]`, cell of the grid, row by row.
      constant: float32 `[U]`, what the units are where the class is: the replacement k.
    """

    present: Activation
    present_cell: np.ndarray
    candidate: Activation
    candidate_cell: np.ndarray
    constant: np.ndarray


def presence(samples: Samples, labels: np.ndarray, number: int) -> np.ndarray:
    """Share of each cell of the grid that a class covers, float32 `[n, h, w]`."""
    return np.asarray(pool(membership(labels, number), samples.gan.shapes[samples.stage][:2], "mean"))


def class_constant(samples: Samples, label: str | int) -> np.ndarray:
    """Presence-weighted mean of every unit over all images and cells, float32 `[U]`."""
    number = index_of(samples.segmenter, label)
    total, weight = 0.0, 0.0
    for batch in samples:
        share = presence(samples, batch.labels, number).astype(np.float64)
        total = total + np.einsum("nhwu,nhw->u", np.asarray(batch.features, np.float64), share)
        weight += share.sum()
    return np.asarray(total / (weight + 1e-20), np.float32)


def find_pairs(present: Samples, candidate: Samples, label: str | int, n: int, key: jax.Array) -> Pairs:
    """The `n` images that show a class best, and `n` that take it best.

    Args:
      present, candidate: pools of samples, under different keys.
      key: for the cells that are tried.

    Raises:
      GanxError: too few images show the class, or too few accept it.
    """
    number = index_of(present.segmenter, label)
    shares = np.concatenate([presence(present, b.labels, number).reshape(len(b.index), -1) for b in present])
    chosen = _best(shares.max(1), n, f"show {label!r}")
    cells = shares[chosen].argmax(1)
    constant = class_constant(present, label)
    gain, tried = _gains(candidate, number, constant, np.bincount(cells, minlength=shares.shape[1]), key)
    taken = _best(gain, n, f"accept {label!r}")
    return Pairs(_gather(present, chosen), cells, _gather(candidate, taken), tried[taken], constant)


def find_present(present: Samples, label: str | int, n: int) -> Pairs:
    """The `n` images that show a class best, and no others: for a search that inserts nothing.

    Raises:
      GanxError: too few images show the class.
    """
    number = index_of(present.segmenter, label)
    shares = np.concatenate([presence(present, b.labels, number).reshape(len(b.index), -1) for b in present])
    chosen = _best(shares.max(1), n, f"show {label!r}")
    act, cells = _gather(present, chosen), shares[chosen].argmax(1)
    return Pairs(act, cells, act, cells, class_constant(present, label))


def _best(score: np.ndarray, n: int, what: str) -> np.ndarray:
    """The `n` samples of the largest score, in their own order."""
    if (score > 0).sum() < n:
        raise GanxError(
            f"only {int((score > 0).sum())} of {len(score)} images {what}, {n} are wanted; enlarge the pool"
        )
    return np.sort(np.argsort(-score, kind="stable")[:n])


def _gains(
    samples: Samples, number: int, constant: np.ndarray, often: np.ndarray, key: jax.Array
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the class that an insertion at the best of a few cells adds, and that cell: both `[n]`."""
    h, w, units = samples.gan.shapes[samples.stage]
    chance = often + 0.1 * often.mean()
    draw = jax.vmap(
        lambda k: jax.random.choice(k, h * w, (min(CELLS, h * w),), False, jnp.asarray(chance / chance.sum()))
    )
    gains, cells = [], []
    for batch in samples:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(batch.index, jnp.int32))
        tried = np.asarray(draw(keys))  # [n, cells]
        gain = _try(samples, batch, tried, number, constant, (h, w, units))
        gains.append(gain.max(1))
        cells.append(np.take_along_axis(tried, gain.argmax(1)[:, None], 1)[:, 0])
    return np.concatenate(gains), np.concatenate(cells)


def _try(
    samples: Samples, batch: Any, tried: np.ndarray, number: int, constant: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
    """Added pixels `[n, cells]`; 0 where the class already covers part of the cell."""
    h, w, _ = shape
    act = cut(samples, batch.index)
    here = np.arange(h * w) == tried.T[..., None]  # [cells, n, hw]
    alphas = here.reshape(len(here), len(tried), h, w, 1).astype(np.float32)
    before = membership(batch.labels, number).sum((1, 2))
    added = []
    for alpha in alphas:
        labels = segmented(samples, act, alpha[None], constant)[0]
        added.append(membership(labels, number).sum((1, 2)) - before)
    covered = presence(samples, batch.labels, number).reshape(len(tried), -1)
    free = np.take_along_axis(covered, tried, 1) == 0
    return np.stack(added, 1) * free


def _gather(samples: Samples, index: np.ndarray) -> Activation:
    """Activations of some samples, on the host."""
    parts = [
        jax.tree.map(np.asarray, cut(samples, index[start : start + samples.batch]))
        for start in range(0, len(index), samples.batch)
    ]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
