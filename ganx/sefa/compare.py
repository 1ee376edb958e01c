"""Every method of finding directions by its name, and what each finds at which cost."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

import jax

from ganx import codes
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.sefa.batches import draw_samples
from ganx.sefa.directions import Directions, random_directions
from ganx.sefa.factorize import factorize
from ganx.sefa.ganspace import ganspace
from ganx.sefa.interfacegan import interfacegan
from ganx.sefa.layers import Layers
from ganx.sefa.predictors import Predictor
from ganx.sefa.rescore import Rescore, rescore

METHODS = ("sefa", "interfacegan", "ganspace", "random")
FOUND = 0.1
"""Mean change of a score that counts as moving an attribute."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """What the methods that need samples may draw.

    Attributes:
      scored: pictures that InterFaceGAN has scored, of which it takes `ratio` at either end.
      styles, features: samples of GANSpace, in style-based families and in others.
    """

    scored: int = 10_000
    styles: int = 100_000
    features: int = 10_000
    ratio: float = 0.05


@dataclasses.dataclass(frozen=True)
class Finding:
    """A method's directions, what they do, and what they cost.

    Attributes:
      seconds: wall time of finding them, compilation included.
      samples: how many samples that took.
      effects: what a predictor says of them; None without one.
    """

    method: str
    directions: Directions
    seconds: float
    samples: int
    effects: Rescore | None

    def attributes_found(self) -> tuple[str, ...]:
        """Attributes that are the largest effect of some direction, and move by `FOUND` and three standard errors."""
        if self.effects is None:
            return ()
        effects = self.effects.effects()
        rows = [effects[:, a] >= effects.max(1) for a in range(effects.shape[1])]
        sizes = [effects[row, a].max(initial=0.0) for a, row in enumerate(rows)]
        noise = 3 * self.effects.error.max()
        return tuple(
            name for name, size in zip(self.effects.attributes, sizes, strict=True) if size > max(FOUND, noise)
        )


def find_directions(
    gan: Gan,
    method: str,
    key: jax.Array,
    layers: Layers = "all",
    k: int = 10,
    predictor: Predictor | None = None,
    budget: Budget | None = None,
) -> tuple[Directions, int]:
    """Directions of a method in the code, and how many samples they took.

    Args:
      k: how many at most; InterFaceGAN has one for each column of the predictor that it can separate.
      predictor: needed by "interfacegan" only.
    """
    budget = budget or Budget()
    if method == "sefa":
        return factorize(gan, layers, k), 0
    if method == "random":
        return random_directions(gan, key, layers, k), 0
    if method == "ganspace":
        count = budget.styles if codes.style_based(gan) else budget.features
        return ganspace(gan, key, count, k, layers), count
    if method == "interfacegan":
        if predictor is None:
            raise GanxError("interfacegan learns from scores; give --predictor package.module:function")
        return interfacegan(gan, predictor, key, budget.scored, (), layers, budget.ratio), budget.scored
    raise unknown("method", method, METHODS)


def compare(
    gan: Gan,
    key: jax.Array,
    methods: Sequence[str] = METHODS,
    layers: Layers = "all",
    k: int = 10,
    predictor: Predictor | None = None,
    n: int = 2_000,
    alpha: float = 1.0,
    psi: float = 1.0,
    cutoff: int | None = None,
    budget: Budget | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[Finding, ...]:
    """Findings of several methods on the same samples and with the same step; arguments as for `rescore`."""
    for method in methods:
        if method not in METHODS:
            raise unknown("method", method, METHODS)
    key_find, key_samples, key_score = jax.random.split(key, 3)
    samples = None if predictor is None else draw_samples(gan, key_samples, n, psi, cutoff)
    findings = []
    for part, method in zip(jax.random.split(key_find, len(methods)), methods, strict=True):
        if progress:
            progress(f"{method}: finding directions")
        began = time.perf_counter()
        directions, drawn = find_directions(gan, method, part, layers, k, predictor, budget)
        seconds = time.perf_counter() - began
        effects = None
        if predictor is not None:
            effects = rescore(gan, predictor, directions, key_score, alpha=alpha, samples=samples, progress=progress)
        findings.append(Finding(method, directions, seconds, drawn, effects))
    return tuple(findings)
