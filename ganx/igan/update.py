"""One interpretability update (paper, Algorithm and eqs 5 to 9): groups, then revised latents, then W, then G."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from ganx.gan import Gan, Spec
from ganx.igan import monitors
from ganx.igan.cut import Cut
from ganx.igan.energy import energy, filter_scale, realism_slope
from ganx.igan.filters import FilterStats, gather
from ganx.igan.guidance import clip_guidance, guidance_loss
from ganx.igan.langevin import Chain, langevin
from ganx.igan.partition import Partition, fit_partition, hold, refit_partition
from ganx.igan.played import with_groups
from ganx.igan.rules import Rules
from ganx.igan.similarity import exclusivity
from ganx.igan.smooth import smoothed
from ganx.igan.state import IganState, Memory
from ganx.igan.weights import follow_labels, update_weights
from ganx.training.game import Game
from ganx.training.keys import named
from ganx.training.players import Label
from ganx.training.state import Net

Metrics = dict[str, jax.Array]
PREFIX = "igan/"
MONITORS = (
    *("lambda3", "w_own", "w_other", "energy", "score", "distance", "grad", "grad_ratio", "updates"),
    *("rms", "rms_ratio", "mean", "dead", "top_share", "exclusivity"),
    *("log_likelihood", "entropy", "smallest", "largest", "empty", "least_variance", "moved"),
)
"""What an update logs, each under `PREFIX`; see `monitors` for their meaning."""


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """Makes interpretability updates of a game's state; the fields are fixed for a run.

    The generator runs as a user runs it: batch norm with its running statistics, noise as stored (ours).
    """

    game: Game
    spec: Spec
    cut: Cut
    rules: Rules

    def __call__(self, state: IganState) -> IganState:
        """The state after one update. G keeps the optimiser's state of the game (the paper does not say)."""
        memory, rules, groups = state.igan, self.rules, self.rules.groups
        key = named(jax.random.fold_in(state.key, state.step), "interpret")
        gan = self._gan(state.g.variables)
        stats = self._stats(gan, named(key, "stats"))
        partition = self._partition(memory, stats, named(key, "partition"))
        weights = follow_labels(memory.weights, memory.partition.labels, partition.labels)
        z, label = self._draw(named(key, "latents"), rules.latents)
        raw = self._raw(gan, z, label)
        features = smoothed(raw, rules.smooth)
        chain = self._revise(gan, z, label, features, weights, partition.labels, named(key, "chain"))
        slope = realism_slope(features, self._features(gan, chain.z, label), partition.labels, groups, rules.energy)
        push = rules.push(memory.updates)
        weights = update_weights(weights, slope, partition.labels, push, rules.weights)
        new = dataclasses.replace(
            memory,
            weights=weights,
            partition=partition,
            updates=memory.updates + 1,
            start_rms=jnp.where(memory.updates == 0, _rms(stats), memory.start_rms),
        )
        state, guided = self._guide(state, z, label, new)
        watched = {"lambda3": push, "score": chain.score, "distance": chain.moved, **guided}
        watched |= self._watch(raw, memory, new)
        return dataclasses.replace(state, igan=new, last={**state.last, **logged(watched)})

    def _gan(self, variables: Any) -> Gan:
        return Gan(self.game.players.generator, variables, self.spec)

    def _draw(self, key: jax.Array, n: int) -> tuple[jax.Array, Label]:
        players = self.game.players
        label = players.labels(named(key, "label"), n) if players.classes else None
        return players.latents(key, n), label

    def _raw(self, gan: Gan, z: jax.Array, label: Label) -> jax.Array:
        return self.cut.lower(gan, z, label=label).features

    def _features(self, gan: Gan, z: jax.Array, label: Label) -> jax.Array:
        """As partition and energy see them."""
        return smoothed(self._raw(gan, z, label), self.rules.smooth)

    def _stats(self, gan: Gan, key: jax.Array) -> FilterStats:
        rule = self.rules.partition
        n = min(rule.images, rule.batch)
        keys = jax.random.split(key, -(-rule.images // n))
        return gather(lambda key: self._features(gan, *self._draw(key, n)), keys)

    def _partition(self, memory: Memory, stats: FilterStats, key: jax.Array) -> Partition:
        """Cold at the first update, then warm, then held (ours)."""
        rule, old = self.rules.partition, memory.partition
        how = {"normalize": rule.normalize, "prior": rule.prior, "floor": rule.floor}
        cold = fit_partition(stats, key, self.rules.groups, restarts=rule.restarts, iterations=rule.iterations, **how)
        warm = refit_partition(stats, old, iterations=rule.refit, **how)
        final = rule.freeze & self.rules.decayed(memory.updates)
        return hold(memory.updates > 0, hold(final, old, warm), cold)

    def _revise(
        self,
        gan: Gan,
        z: jax.Array,
        label: Label,
        features: jax.Array,
        weights: jax.Array,
        labels: jax.Array,
        key: jax.Array,
    ) -> Chain:
        rules, scale = self.rules, filter_scale(features, self.rules.energy)

        def energy_of(z: jax.Array) -> jax.Array:
            return energy(self._features(gan, z, label), weights, labels, scale, rules.energy)

        return langevin(energy_of, z, key, rules.langevin, prior=self.spec.prior, mesh=self.game.players.mesh)

    def playing(self, state: IganState) -> Game:
        """The game as it is played now: with hybrids of its groups, and with `joint` G descends the energy's term too.

        The term is taken at latents of its own, from the first update on until there are no more.
        """
        game = with_groups(self.game, state.igan.partition.labels)
        if not self.rules.guidance.joint:
            return game
        memory, key = state.igan, named(jax.random.fold_in(state.key, state.step), "joint")
        on = (memory.updates > 0) & self.rules.alternation.guides(memory.updates)

        def guide(g: Net, grads: Any) -> Any:
            z, label = self._draw(named(key, "guide"), self.game.batch)
            _, extra, _ = self._guidance(g, z, label, memory)
            return jax.tree.map(lambda a, b: a + on * b, grads, extra)

        return dataclasses.replace(game, guide=guide)

    def _guide(self, state: IganState, z: jax.Array, label: Label, memory: Memory) -> tuple[IganState, Metrics]:
        """G's step down the energy's term, unless it descends it together with the GAN's loss."""
        guidance, g = self.rules.guidance, state.g
        value, grads, norm = self._guidance(g, z, label, memory)
        weight = guidance.lambda0 * guidance.lambda2
        seen = {
            "energy": -value / weight if weight else jnp.zeros(()),
            "grad": norm,
            "grad_ratio": norm / jnp.maximum(memory.usual_norm, 1e-12),
        }
        return (state if guidance.joint else dataclasses.replace(state, g=g.update(grads, self.game.g_opt))), seen

    def _guidance(self, g: Net, z: jax.Array, label: Label, memory: Memory) -> tuple[jax.Array, Any, jax.Array]:
        """The energy's term, its gradient as G gets it, and the gradient's norm before clipping."""
        rules = self.rules

        def objective(params: Any) -> jax.Array:
            features = self._features(self._gan({"params": params, **g.stats}), z, label)
            return guidance_loss(features, memory.weights, memory.partition.labels, rules.guidance, rules.energy)

        value, grads = jax.value_and_grad(objective)(g.params)
        return value, *clip_guidance(self.game.cleaned(grads), memory.usual_norm, rules.guidance)

    def _watch(self, features: jax.Array, old: Memory, new: Memory) -> Metrics:
        before = self._or_same(old, new)
        shared = exclusivity(features, new.partition.labels, self.rules.groups)
        return {
            **monitors.weight_monitors(new.weights, new.partition.labels),
            **monitors.feature_monitors(features, jnp.maximum(new.start_rms, 1e-30)),
            **monitors.partition_monitors(new.partition, before),
            "exclusivity": jnp.nan_to_num(shared),
            "updates": new.updates.astype(jnp.float32),
        }

    def _or_same(self, old: Memory, new: Memory) -> Partition:
        """The partition to compare with: at the first update there is none."""
        return hold(old.updates == 0, new.partition, old.partition)


def logged(values: Metrics) -> Metrics:
    """Exactly `MONITORS`, under the names by which they are logged."""
    return {PREFIX + name: jnp.asarray(values[name], jnp.float32) for name in MONITORS}


def _rms(stats: FilterStats) -> jax.Array:
    return jnp.sqrt(jnp.square(stats.rms).mean())
