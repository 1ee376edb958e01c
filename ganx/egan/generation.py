"""One generation of E-GAN as a pure function: variation, evaluation, selection, D's updates (Wang et al. 2019, Alg. 1).

Generators come first and D after them, as in both of the authors' releases; the paper's listing differs by half a
generation. Noise is a function of the generation, the parent and the mutation's name, so that it does not depend on how
children are spread over devices, on how many parents there are or on the order of the mutations.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ganx.egan.fitness import Fitness, evaluate, real_half, survivors
from ganx.egan.mapping import Mapping as Members
from ganx.egan.mutations import chosen, number, slopes
from ganx.egan.population import TRAIL, WINDOW, Population, found, take
from ganx.models import init_discriminator, init_generator
from ganx.training import penalties
from ganx.training.averaging import Averaging
from ganx.training.keys import named
from ganx.training.loops import inner_loop
from ganx.training.losses import Loss
from ganx.training.mesh import shard_batch
from ganx.training.method import Batch, Metrics
from ganx.training.players import Label, Players
from ganx.training.state import Net, new_net

Tree = Any
Images = dict[str, Any]  # "image" [n, ...] and "label" [n], None without classes


class Child(NamedTuple):
    """A parent after one step on one mutation, with what it was judged by. Stacked for a whole litter."""

    net: Net
    fitness: Fitness
    fakes: Images
    loss: jax.Array


@dataclasses.dataclass(frozen=True)
class Generation:
    """The pure functions of one E-GAN; fields are fixed for a run, named as in the configuration.

    `averaging` is None where no averages are kept. A batch of the feed is `evaluation + d_steps * batch` examples.
    """

    players: Players
    loss: Loss
    g_opt: optax.GradientTransformation
    d_opt: optax.GradientTransformation
    averaging: Averaging | None
    map: Members
    batch: int
    d_steps: int
    gp_weight: float
    gp_on: str
    fake_labels: str
    parents: int
    mutations: tuple[str, ...]
    gamma: float
    evaluation: int
    selection: str
    variation: str
    variation_noise: str
    eval_noise: str
    d_fakes: str
    founders: str

    @property
    def images(self) -> int:
        """Real examples that a generation takes."""
        return self.evaluation + self.d_steps * self.batch

    def init(self, key: jax.Array, shape: tuple[int, ...]) -> Population:
        """The first generation, for examples of the given shape."""
        g_key, d_key, run_key = jax.random.split(key, 3)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(g_key, jnp.arange(self.parents))
        if self.founders == "identical":
            keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.clone(g_key), jnp.zeros(self.parents, int))
        fresh = jax.vmap(lambda key: init_generator(self.players.generator, key, n=2))(keys)
        members = jax.vmap(lambda variables: new_net(variables, self.g_opt))(fresh)
        d = new_net(init_discriminator(self.players.discriminator, d_key, shape), self.d_opt)
        ema = jax.tree.map(jnp.copy, members.variables) if self.averaging else ()
        return found(run_key, members, ema, d, len(self.mutations))

    def step(self, state: Population, batch: Batch, due: Mapping[str, Any]) -> tuple[Population, Metrics]:
        """The next generation."""
        del due
        key = jax.random.fold_in(state.key, state.step)
        against, reals = self._cut(batch)
        children = self.breed(state, against, key)
        index = self.select(children.fitness.total, named(key, "selection"))
        survived = take(children, index)
        fakes = self._fakes(survived, reals, named(key, "fakes"))
        d, metrics = self._train(state.d, reals, fakes, named(key, "d"))
        new = self._succeed(state, children.fitness, index, survived, d)
        return new, {**metrics, **self._metrics(new, children, survived)}

    # -- variation and evaluation ----------------------------------------------------------------------

    def breed(self, state: Population, against: Images, key: jax.Array) -> Child:
        """All children, leaves `[parents * H, ...]`, child `parent * H + mutation`, judged against the real ones."""
        grads = real_half(self.players, state.d, self.loss, against["image"], against["label"])
        kinds = jnp.array([number(name) for name in self.mutations], jnp.uint32)
        count = len(self.mutations)
        shared = (state.d, grads, against["label"], key)
        if self.variation == "chain":
            return self._chain(take(state.members, 0), kinds, shared)
        index = jnp.arange(self.parents * count)
        nets = jax.tree.map(lambda leaf: jnp.repeat(leaf, count, 0), state.members)
        members = (nets, index // count, index % count, jnp.tile(kinds, self.parents))
        return self.map(self._child, members, *shared)

    def _chain(self, net: Net, kinds: jax.Array, shared: tuple[Any, ...]) -> Child:
        """Mutations in turn, each from the best child so far: what the Theano release runs for one parent."""
        children: list[Child] = []
        best: Child | None = None
        for i in range(len(self.mutations)):
            member = (net if best is None else best.net, jnp.zeros((), int), jnp.array(i), kinds[i])
            child = self._child(member, self.players.mesh, *shared)
            children.append(child)
            best = child if best is None else _better(child, best)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *children)

    def _child(
        self, member: tuple[Any, ...], mesh: Any, d: Net, real_grads: Tree, real_label: Label, key: jax.Array
    ) -> Child:
        net, parent, which, kind = member
        players = dataclasses.replace(self.players, mesh=mesh)
        at = jax.random.fold_in(key, parent)
        own = jax.random.fold_in(at, kind)
        vary = named(own if self.variation_noise == "independent" else at, "variation")
        look = named(own if self.eval_noise == "independent" else key, "evaluation")
        net, value = self.mutate(players, net, which, d, vary, real_label)
        label = self._label(players, look, real_label, self.evaluation)
        image, _ = players.fakes(net.params, net.stats, look, self.evaluation, label)
        fitness = evaluate(players, d, self.loss, real_grads, image, label, self.gamma)
        return Child(net, fitness, {"image": image, "label": label}, value)

    def mutate(
        self, players: Players, net: Net, which: jax.Array, d: Net, key: jax.Array, real_label: Label
    ) -> tuple[Net, jax.Array]:
        """A generator after one optimiser step on mutation `which` (an index), and that mutation's loss before it."""
        label = self._label(players, key, real_label, self.batch)

        def verdict(params: Tree) -> tuple[tuple[jax.Array, Any], Tree]:
            fake, stats = players.fakes(params, net.stats, key, self.batch, label)
            seen = players.judge(d.params, d.stats, fake, label)
            return (seen.logits, jnp.asarray(seen.wrong, seen.logits.dtype)), stats

        (logits, wrong), pull, stats = jax.vjp(verdict, net.params, has_aux=True)
        values, rows = slopes(chosen(self.mutations), logits)
        grads = pull((rows[which], jnp.ones_like(wrong)))[0]
        return dataclasses.replace(net, stats=stats).update(grads, self.g_opt), values[which] + wrong

    def _label(self, players: Players, key: jax.Array, real: Label, n: int) -> Label:
        if not players.classes:
            return None
        return real[:n] if self.fake_labels == "data" and real is not None else players.labels(named(key, "label"), n)

    # -- selection ---------------------------------------------------------------------------------------

    def select(self, total: jax.Array, key: jax.Array) -> jax.Array:
        """Indices int32 `[parents]` of the survivors, best first (drawn blindly where selection is "random")."""
        return survivors(jax.random.uniform(key, total.shape) if self.selection == "random" else total, self.parents)

    def _succeed(self, state: Population, fitness: Fitness, index: jax.Array, survived: Child, d: Net) -> Population:
        count = len(self.mutations)
        ema = take(state.ema, index // count)
        if self.averaging:
            ema = self.averaging(ema, survived.net.variables, state.step)
        litters = jnp.stack([fitness.quality, fitness.diversity]).reshape(2, self.parents, count)
        share = 1 / jnp.minimum(state.step + 1, WINDOW).astype(jnp.float32)
        return dataclasses.replace(
            state,
            step=state.step + 1,
            members=survived.net,
            ema=ema,
            d=d,
            fitness=survived.fitness.total.astype(jnp.float32),
            founders=state.founders[index // count],
            wins=state.wins.at[index % count].add(1),
            spread=state.spread + share * (litters.std(2).mean(1).astype(jnp.float32) - state.spread),
            trail=state.trail.at[state.step % TRAIL].set(index),
        )

    def _metrics(self, state: Population, children: Child, survived: Child) -> Metrics:
        best = {
            "loss_g": survived.loss[0],
            "fitness": survived.fitness.total[0],
            "quality": survived.fitness.quality[0],
            "diversity": survived.fitness.diversity[0],
        }
        by_mutation = jax.tree.map(lambda x: x.reshape(self.parents, -1).mean(0), children.fitness)
        for i, name in enumerate(self.mutations):
            values = {"fitness": by_mutation.total, "quality": by_mutation.quality, "diversity": by_mutation.diversity}
            best |= {f"{term}/{name}": value[i] for term, value in values.items()}
            best[f"wins/{name}"] = state.wins[i]
        lines = (state.founders[:, None] == jnp.arange(self.parents)).any(0).sum()
        best |= {"founders": lines, "spread_quality": state.spread[0], "spread_diversity": state.spread[1]}
        return {name: jnp.asarray(value, jnp.float32) for name, value in best.items()}

    # -- D -------------------------------------------------------------------------------------------------

    def _cut(self, batch: Batch) -> tuple[Images, Images]:
        """Real examples to judge children against, `[evaluation, ...]`, and to train D on, `[d_steps, batch, ...]`."""
        names = ("image", "label") if self.players.classes else ("image",)
        against = {k: shard_batch(batch[k][: self.evaluation], self.players.mesh) for k in names}
        rest = {k: batch[k][self.evaluation :] for k in names}
        reals = {k: x.reshape(self.d_steps, self.batch, *x.shape[1:]) for k, x in rest.items()}
        return {"label": None, **against}, {"label": None, **reals}

    def _fakes(self, survived: Child, reals: Images, key: jax.Array) -> Images:
        """What D learns from, `[d_steps, batch, ...]`: equal shares of the survivors' samples, shuffled."""
        share = math.ceil(self.batch * self.d_steps / self.parents)
        pool = jax.tree.map(lambda x: x[:, :share], survived.fakes)
        draw_key, shuffle_key = jax.random.split(key)
        if self.d_fakes == "fresh":
            keys = jax.random.split(draw_key, self.parents)
            pool = self.map(self._draw, (survived.net, keys), reals["label"])
        pool = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), pool)
        if self.parents > 1:  # those of one survivor are in no order
            order = jax.random.permutation(shuffle_key, self.parents * share)
            pool = jax.tree.map(lambda x: x[order], pool)
        wanted = self.d_steps * self.batch
        return jax.tree.map(lambda x: x[:wanted].reshape(self.d_steps, self.batch, *x.shape[1:]), pool)

    def _draw(self, member: tuple[Net, jax.Array], mesh: Any, real_label: Label) -> Images:
        net, key = member
        share = math.ceil(self.batch * self.d_steps / self.parents)
        players = dataclasses.replace(self.players, mesh=mesh)
        label = self._label(players, key, None if real_label is None else real_label.reshape(-1), share)
        return {"image": players.fakes(net.params, net.stats, key, share, label)[0], "label": label}

    def _train(self, d: Net, reals: Images, fakes: Images, key: jax.Array) -> tuple[Net, Metrics]:
        """D's updates in this generation, and what the last one saw."""

        def body(d: Net, x: tuple[Images, Images, jax.Array]) -> tuple[Net, Metrics]:
            real, fake, key = shard_batch(x[0], self.players.mesh), shard_batch(x[1], self.players.mesh), x[2]
            grads, (stats, metrics) = jax.grad(self._d_loss, has_aux=True)(d.params, d.stats, real, fake, key)
            metrics["grad_d"] = optax.tree.norm(grads)
            return dataclasses.replace(d, stats=stats).update(grads, self.d_opt), metrics

        d, metrics = inner_loop(body, d, (reals, fakes, jax.random.split(key, self.d_steps)))
        return d, jax.tree.map(lambda x: x[-1], metrics)

    def _d_loss(
        self, params: Tree, stats: Tree, real: Images, fake: Images, key: jax.Array
    ) -> tuple[jax.Array, tuple[Tree, Metrics]]:
        """Real and generated samples pass through D separately, each with batch statistics of their own."""
        on_real = self.players.judge(params, stats, real["image"], real["label"])
        on_fake = self.players.judge(params, on_real.stats, fake["image"], fake["label"])
        value = self.loss.discriminator(on_real.logits, on_fake.logits) + on_real.wrong + on_fake.wrong
        metrics = {"loss_d": value, "real": on_real.logits.mean(), "fake": on_fake.logits.mean()}
        if self.gp_weight:
            metrics["gp"] = self._penalty(params, stats, real, fake, key)
            value = value + self.gp_weight * metrics["gp"]
        return value, (on_fake.stats, metrics)

    def _penalty(self, params: Tree, stats: Tree, real: Images, fake: Images, key: jax.Array) -> jax.Array:
        """E (|grad D| - 1)^2 between real and generated samples, of the logit or (Theano release) the probability."""
        x = fake["image"].reshape(real["image"].shape)
        mix = shard_batch(jax.random.uniform(key, (len(x), *[1] * (x.ndim - 1))), self.players.mesh)
        between = real["image"] + mix * (x - real["image"])
        return penalties.gradient_penalty(
            self.critic_of_penalty(stats, real["label"]), penalties.wgan_gp, params, between
        )

    def critic_of_penalty(self, stats: Tree, label: Label) -> penalties.Critic:
        """What the gradient penalty differentiates, as a function of parameters and samples."""
        critic = self.players.critic(stats, label)
        if self.gp_on == "logit":
            return critic
        return lambda params, x: jax.nn.sigmoid(critic(params, x))


def _better(new: Child, old: Child) -> Child:
    better = new.fitness.total > old.fitness.total
    return jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old)
