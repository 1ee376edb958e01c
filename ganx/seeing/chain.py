"""A generator cut into parts: z ─g_1→ r_1 ─ … ─g_n→ r_n ─G_f→ image (Bau et al. 2019, §3.2)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Protocol

import jax

from ganx.errors import GanxError, unknown
from ganx.gan import Activation, Gan, checked_label

RATIO = 0.25
"""Numbers at the cut for each number of the image above which the late layers draw what the generator never learned."""


class Parts(Protocol):
    """What inversion asks of a generator; a pytree. `Chain` provides it for every staged family."""

    @property
    def cuts(self) -> tuple[str, ...]:
        """Names of the cuts r_1, …, r_n."""

    def start(self, z: jax.Array, label: Any = None) -> Activation:
        """What g_1 takes."""

    def step(self, i: int, act: Activation) -> Activation:
        """The part that leads to the cut i, counted from 0: r_i to r_{i+1}."""

    def paint(self, act: Activation) -> jax.Array:
        """G_f: images `[n, H, W, C]` from what was taken at the last cut."""


@dataclasses.dataclass(frozen=True)
class Chain:
    """A staged generator and its cuts. A pytree whose leaves are the variables."""

    gan: Gan
    cuts: tuple[str, ...]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of one sample's z, r_1, …, r_n."""
        return (self.gan.spec.latent, *(self.gan.shapes[cut] for cut in self.cuts))

    @property
    def ratio(self) -> float:
        """Numbers at the last cut for each number of the image."""
        return math.prod(self.shapes[-1]) / math.prod(self.gan.spec.shapes[-1])

    def start(self, z: jax.Array, label: Any = None) -> Activation:
        label = checked_label(label, self.gan.spec.classes, len(z))
        conditions = {} if label is None else {"label": label}
        features, context = self.gan.module.apply(self.gan.variables, z, method="begin", **conditions)
        return Activation(features, context, "")

    def step(self, i: int, act: Activation) -> Activation:
        return self._run(act, self._after(i - 1), self._after(i), self.cuts[i])

    def paint(self, act: Activation) -> jax.Array:
        return self._run(act, self._after(len(self.cuts) - 1), len(self.gan.stages), self.gan.stages[-1]).features

    def _after(self, i: int) -> int:
        return 0 if i < 0 else self.gan.stages.index(self.cuts[i]) + 1

    def _run(self, act: Activation, start: int, stop: int, name: str) -> Activation:
        names = self.gan.stages[start:stop]
        features, context = self.gan.module.apply(self.gan.variables, names, act.features, act.context, method="run")
        return Activation(features, context, name)


jax.tree_util.register_dataclass(Chain, data_fields=["gan"], meta_fields=["cuts"])


def cut(gan: Gan, at: str | None = None, cuts: Sequence[str] | None = None) -> Chain:
    """Cuts a generator.

    Args:
      gan: any staged generator.
      at: the last cut; by default `default_cut`.
      cuts: all cuts, in running order, instead of every stage up to `at` that is no image layer.

    Raises:
      GanxError: unknown stages, cuts out of order, or the image itself as a cut.
    """
    if cuts is None:
        at = at or default_cut(gan)
        if at not in gan.stages:
            raise unknown("stage", at, gan.stages[:-1])
        cuts = [name for name in gan.stages[: gan.stages.index(at) + 1] if not name.startswith("rgb") or name == at]
    for name in cuts:
        if name not in gan.stages[:-1]:
            raise unknown("stage to cut after", name, gan.stages[:-1])
    places = [gan.stages.index(name) for name in cuts]
    if not places or places != sorted(set(places)):
        raise GanxError(f"cuts follow the running order of the stages, {', '.join(gan.stages)}; got {', '.join(cuts)}")
    return Chain(gan, tuple(cuts))


def default_cut(gan: Gan) -> str:
    """The latest map within a quarter of the image's numbers, else the smallest map.

    The later the cut, the better the reconstruction, but the more is drawn that the generator never learned.
    """
    image = math.prod(gan.spec.shapes[-1])
    sizes = {name: math.prod(s) for name, s in gan.shapes.items() if len(s) == 3 and not name.startswith("rgb")}
    sizes.pop(gan.stages[-1], None)
    if not sizes:
        return gan.stages[0]
    small = [name for name, size in sizes.items() if size <= RATIO * image]
    return small[-1] if small else min(sizes, key=lambda name: sizes[name])


def forward(chain: Parts, z: jax.Array, label: Any = None) -> tuple[list[Activation], jax.Array]:
    """All of it in one pass: what was taken at "" and at every cut, and the images."""
    acts = [chain.start(z, label)]
    for i in range(len(chain.cuts)):
        acts.append(chain.step(i, acts[-1]))
    return acts, chain.paint(acts[-1])


def relaxed(chain: Parts, z: jax.Array, deltas: dict[str, jax.Array], label: Any = None) -> Activation:
    """r = δ_n + g_n(… δ_1 + g_1(z)): the last cut with the outputs of some parts perturbed."""
    act = chain.start(z, label)
    for i, name in enumerate(chain.cuts):
        act = chain.step(i, act)
        if name in deltas:
            act = act.with_features(act.features + deltas[name])
    return act
