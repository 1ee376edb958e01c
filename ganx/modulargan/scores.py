"""Figures for translators: are the values asked for there, is the rest untouched, do masks lie where the truth does.

Every figure takes a plain function of images, so that all systems are measured alike. On worlds the truth is known: the
same parameters are rendered with and without the change.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx.data.feed import to_float
from ganx.modulargan.program import Program

Translate = Callable[[jax.Array, Sequence[Program]], jax.Array]
"""`(images [n, H, W, C], a program for each) -> images`."""
Read = Callable[[jax.Array], Mapping[str, jax.Array]]
"""Images to value indices int32 `[n]` by attribute: a classifier that never saw generated images."""


@dataclasses.dataclass(frozen=True)
class Errors:
    """Classification errors of one set of attributes, as shares of 1.

    Attributes:
      any: at least one of the values asked for is not there.
      mean: over the attributes asked for.
      others: over the attributes that should have stayed.
    """

    any: float
    mean: float
    others: float


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """All sets of attributes, single ones first: the columns of the paper's table 2."""
    return [chosen for size in range(1, len(names) + 1) for chosen in itertools.combinations(names, size)]


def unseen(
    values: Mapping[str, np.ndarray], attributes: Mapping[str, tuple[str, ...]], combo: Mapping[str, int]
) -> tuple[np.ndarray, Program]:
    """Which images can be asked for a combination of values, and the program that does it.

    All attributes of the combination change, so that its errors stand beside those of `ask` for the same set; what it
    says of attributes that no module changes must hold in the image already.

    Returns:
      Indices of such images, and one program for all of them.
    """
    names = list(attributes)
    fits = [values[n] != v if n in attributes else values[n] == v for n, v in combo.items()]
    program = tuple((names.index(n), v) for n, v in combo.items() if n in attributes)
    return np.flatnonzero(np.all(fits, axis=0)), program


def ask(
    values: Mapping[str, np.ndarray],
    attributes: Mapping[str, tuple[str, ...]],
    chosen: Sequence[str],
    rng: np.random.Generator,
) -> list[Program]:
    """A program for each image that gives each of the chosen attributes another value, uniformly, in this order."""
    names, programs = list(attributes), []
    for i in range(len(next(iter(values.values())))):
        steps = []
        for name in chosen:
            count = len(attributes[name])
            steps.append((names.index(name), int(values[name][i] + rng.integers(1, count)) % count))
        programs.append(tuple(steps))
    return programs


def errors(
    translate: Translate,
    read: Read,
    images: jax.Array,
    values: Mapping[str, np.ndarray],
    attributes: Mapping[str, tuple[str, ...]],
    programs: Sequence[Program],
    rows: np.ndarray | None = None,
) -> Errors:
    """Errors of translated images by the classifier `read`; `values` are the true ones before.

    Attributes that the classifier does not read count neither as missed nor as kept; of the images, those at `rows` do
    (None: all).
    """
    found = {name: np.asarray(v) for name, v in read(translate(images, programs)).items()}
    names = list(attributes)
    readable = [j for j, name in enumerate(names) if name in found]
    wanted = np.stack([np.asarray(values[names[j]]) for j in readable], -1)
    asked = np.zeros(wanted.shape, bool)
    for i, program in enumerate(programs):
        for k, j in enumerate(readable):
            if j in dict(program):
                wanted[i, k], asked[i, k] = dict(program)[j], True
    wrong = np.stack([found[names[j]] for j in readable], -1) != wanted
    if rows is not None:
        wrong, asked = wrong[rows], asked[rows]
    missed, kept = wrong & asked, ~asked
    return Errors(
        float(missed.any(1).mean()),
        float(missed.sum() / max(asked.sum(), 1)),
        float((wrong & kept).sum() / kept.sum()) if kept.any() else 0.0,
    )


@dataclasses.dataclass(frozen=True)
class Truth:
    """One attribute's change on a world, as it really looks.

    Attributes:
      before: float32 `[n, H, W, C]` in [-1, 1].
      after: the same parameters with the new value.
      changed: bool `[n, H, W]`, where they differ by more than 8 of 255.
      values: true values before, by attribute; `target` int32 `[n]` is the one asked for.
    """

    before: jax.Array
    after: jax.Array
    changed: jax.Array
    values: dict[str, np.ndarray]
    target: np.ndarray


def truth(world: Any, name: str, indices: np.ndarray, seed: int = 0) -> Truth:
    """Images of a world with one attribute set to another value, uniformly, and how that really looks."""
    params = world.params(indices)
    values = {k: np.asarray(v) for k, v in params.attrs.items()}
    count = len(world.ATTRS[name])
    jump = np.random.default_rng(seed).integers(1, count, len(indices))
    target = ((values[name] + jump) % count).astype(np.int32)
    other = world.counterfactual(params, name, jnp.asarray(target))
    before, after = (to_float(world.draw(p).image) for p in (params, other))
    return Truth(before, after, world.changed(params, name, jnp.asarray(target)), values, target)


def localisation(score: np.ndarray, changed: np.ndarray) -> tuple[float, float, float]:
    """How well a score says where the truth changed.

    Args:
      score: `[n, h, w]`, higher for "here": a mask, or a map of differences.
      changed: bool `[n, H, W]`, reduced to h x w by more than half of each cell's area.

    Returns:
      Average precision over all cells (threshold-free), intersection over union of score > 0.5, and the share of
      cells that changed, which is the average precision of guessing.
    """
    n, h, w = score.shape
    cells = np.asarray(changed).reshape(n, h, changed.shape[1] // h, w, changed.shape[2] // w)
    where = (cells.mean((2, 4)) > 0.5).ravel()
    given = np.asarray(score, np.float64).ravel()
    union = ((given > 0.5) | where).sum()
    return average_precision(given, where), float(((given > 0.5) & where).sum() / max(union, 1)), float(where.mean())


def pixel_localisation(score: np.ndarray, changed: np.ndarray) -> tuple[float, float]:
    """The same by pixels, each with its cell's score: average precision, and that of guessing.

    For changes that fill half of hardly any cell, such as a smile at 32 pixels. A map of cells cannot reach 1 here.
    """
    factor = changed.shape[1] // score.shape[1]
    where = np.asarray(changed, bool).ravel()
    given = np.asarray(score, np.float64).repeat(factor, 1).repeat(factor, 2).ravel()
    return average_precision(given, where), float(where.mean())


def average_precision(score: np.ndarray, where: np.ndarray) -> float:
    """Area under precision against recall, ties taken together; 0 where nothing is true."""
    order = np.argsort(-score, kind="stable")
    ranked, truth_here = score[order], where[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of each group of equal scores
    hits = np.cumsum(truth_here)[last]
    if not hits[-1]:
        return 0.0
    return float((np.diff(hits, prepend=0) * hits / (last + 1)).sum() / hits[-1])


def region_error(made: jax.Array, known: Truth) -> tuple[float, float]:
    """Mean absolute difference from the true re-render inside and outside of what changed, on [-1, 1]."""
    off = np.asarray(jnp.abs(made - known.after).mean(-1))
    inside = np.asarray(known.changed)
    return tuple(float(off[where].mean()) if where.any() else 0.0 for where in (inside, ~inside))  # type: ignore[return-value]


@dataclasses.dataclass(frozen=True)
class Orders:
    """The same requests in all orders of their modules.

    Attributes:
      mean: error (`Errors.any`) on average over the orders, which is that of a random one.
      spread: largest minus smallest error.
      apart: mean absolute difference between the images of two orders.
    """

    mean: float
    spread: float
    apart: float


def orders(
    translate: Translate,
    read: Read,
    images: jax.Array,
    values: Mapping[str, np.ndarray],
    attributes: Mapping[str, tuple[str, ...]],
    chosen: Sequence[str],
    seed: int = 0,
) -> Orders:
    """What the order of the chosen modules changes; `seed` of the requests."""
    rates, pictures = [], []
    names = list(attributes)
    asked = ask(values, attributes, chosen, np.random.default_rng(seed))
    for order in itertools.permutations(chosen):
        rank = functools.partial(_rank, names, order)
        programs = [tuple(sorted(p, key=rank)) for p in asked]
        rates.append(errors(translate, read, images, values, attributes, programs).any)
        pictures.append(np.asarray(translate(images, programs)))
    pairs = [np.abs(a - b).mean() for a, b in itertools.combinations(pictures, 2)]
    return Orders(float(np.mean(rates)), max(rates) - min(rates), float(np.mean(pairs)) if pairs else 0.0)


def _rank(names: Sequence[str], order: Sequence[str], step: tuple[int, int]) -> int:
    """Place of a step's attribute in an order."""
    return order.index(names[step[0]])


def no_change(translate: Translate, images: jax.Array, values: Mapping[str, np.ndarray], names: Sequence[str]) -> float:
    """Idempotence: mean absolute difference between asking for what is there already and asking for nothing."""
    programs = [tuple((a, int(values[name][i])) for a, name in enumerate(names)) for i in range(len(images))]
    same, nothing = translate(images, programs), translate(images, [()] * len(images))
    return float(jnp.abs(same - nothing).mean())
