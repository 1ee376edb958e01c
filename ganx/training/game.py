"""The adversarial game of one generator and one discriminator: one step as pure functions.

Losses, penalties and families know nothing of each other; `ganx.training.adversarial` builds a game from a
configuration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ganx.models import init_discriminator, init_generator
from ganx.training import penalties
from ganx.training.accumulation import accumulate
from ganx.training.ada import Controller
from ganx.training.averaging import Averaging
from ganx.training.keys import named
from ganx.training.lazy import path_length_step, r1_step
from ganx.training.loops import inner_loop, when
from ganx.training.losses import Loss
from ganx.training.mesh import shard_batch
from ganx.training.method import Batch, Metrics
from ganx.training.optimiser import finite
from ganx.training.players import Label, Players, look
from ganx.training.state import Net, State, new_net

Tree = Any
Seen = tuple[Metrics, jax.Array]  # of a D update: its metrics and the logits of the reals
Images = dict[str, Any]  # "image" [n, H, W, C] and "label" [n], None without classes
Guide = Callable[[Net, Tree], Tree]


@dataclasses.dataclass(frozen=True)
class Game:
    """The pure functions of one adversarial game; fields are fixed for a run, named as in the configuration.

    `batch` is that of one update, `accumulate` how many parts it is cut into, `clean` whether gradients are made
    finite; `controller` moves the probability of the augmentation, None without; `guide` gets G and its gradient
    before each of G's updates and returns what G descends instead.
    """

    players: Players
    loss: Loss
    g_opt: optax.GradientTransformation
    d_opt: optax.GradientTransformation
    averaging: Averaging
    batch: int
    d_steps: int
    share_fakes: bool
    drift: float
    gp_weight: float
    r1_gamma: float
    r1_every: int
    path_weight: float
    path_every: int
    path_shrink: int
    fake_labels: str = "uniform"
    accumulate: int = 1
    clean: bool = False
    controller: Controller | None = None
    guide: Guide | None = None

    def init(self, key: jax.Array, image_shape: tuple[int, ...]) -> State:
        """A fresh state."""
        g_key, d_key, run_key = jax.random.split(key, 3)
        g_variables = init_generator(self.players.generator, g_key, n=2)
        d_variables = init_discriminator(self.players.discriminator, d_key, image_shape)
        return State(
            step=jnp.zeros((), jnp.int32),
            key=run_key,
            g=new_net(g_variables, self.g_opt),
            d=new_net(d_variables, self.d_opt),
            ema=jax.tree.map(jnp.copy, g_variables),
            path_mean=jnp.zeros(()),
            last={name: jnp.zeros(()) for name in self.lazy()},
            ada=self.controller.init() if self.controller else (),
        )

    def lazy(self) -> dict[str, int]:
        """Penalties with an optimiser step of their own, and how often they run."""
        r1 = {"r1": self.r1_every} if self.r1_gamma and self.r1_every > 1 else {}
        path = {"path_length": self.path_every} if self.path_weight else {}
        return r1 | path

    def step(self, state: State, batch: Batch, due: Mapping[str, Any]) -> tuple[State, Metrics]:
        """D's updates, then G's, then the lazy penalties whose turn it is, then the average."""
        key = jax.random.fold_in(state.key, state.step)
        d_key, g_key, path_key = jax.random.split(key, 3)
        reals, p = self._reals(batch), state.ada.p if self.controller else None
        play = self._play_shared if self.share_fakes else self._play_fresh
        g, d, (metrics, logits) = play(state.g, state.d, reals, d_key, g_key, p)
        state = dataclasses.replace(state, g=g, d=d)
        if "r1" in self.lazy():
            last = jax.tree.map(lambda x: x[-1], reals)
            state = when(due["r1"], lambda s: r1_step(self, s, last, named(key, "r1")), lambda s: s, state)
        if "path_length" in self.lazy():
            label = None if reals["label"] is None else reals["label"][-1]
            state = when(due["path_length"], lambda s: path_length_step(self, s, label, path_key), lambda s: s, state)
        ema = self.averaging(state.ema, state.g.variables, state.step)
        state, metrics = self._adapt(state, logits, metrics)
        return dataclasses.replace(state, step=state.step + 1, ema=ema), metrics | state.last

    def cleaned(self, grads: Tree) -> Tree:
        """Gradients as the optimisers get them."""
        return finite(grads) if self.clean else grads

    def fake_label(self, key: jax.Array, real: Label) -> Label:
        """Classes for as many fakes as there are real ones; None without classes."""
        if real is None or self.fake_labels == "data":
            return real
        return self.players.labels(named(key, "label"), len(real))

    def _reals(self, batch: Batch) -> Images:
        """The step's real images, `[d_steps, batch, ...]`."""
        names = ("image", "label") if self.players.classes else ("image",)
        cut = {k: batch[k].reshape(self.d_steps, self.batch, *batch[k].shape[1:]) for k in names}
        return {"label": None, **cut}

    def _adapt(self, state: State, logits: jax.Array, metrics: Metrics) -> tuple[State, Metrics]:
        """Moves the probability of the augmentation, by what D thought of the step's reals."""
        if self.controller is None:
            return state, metrics
        ada = self.controller.observe(state.ada, logits)
        ada = self.controller.update(ada, due=state.step % self.controller.every == 0)
        return dataclasses.replace(state, ada=ada), {**metrics, "augment_p": ada.p}

    # -- who plays when ------------------------------------------------------------------------------

    def _play_fresh(
        self, g: Net, d: Net, reals: Images, d_key: jax.Array, g_key: jax.Array, p: jax.Array | None
    ) -> tuple[Net, Net, Seen]:
        """D's updates on fakes of their own, then G's on fresh ones (StyleGAN2)."""
        d, (metrics, logits) = self._d_steps(d, g, reals, d_key, p)

        def gradient(stats: Tree, real: Images, key: jax.Array) -> tuple[Tree, tuple[Tree, jax.Array]]:
            label = self.fake_label(key, real["label"])

            def objective(params: Tree) -> tuple[jax.Array, Tree]:
                fake, new = self.players.fakes(params, stats, key, self.batch // self.accumulate, label)
                return self._g_loss(d, fake, label, key, p), new

            (value, new), grads = jax.value_and_grad(objective, has_aux=True)(g.params)
            return grads, (new, value)

        labels = {"label": None if reals["label"] is None else reals["label"][-1]}
        grads, stats, losses = accumulate(gradient, g.params, g.stats, labels, g_key, self.accumulate)
        g, metrics = self._g_update(g, grads, stats, losses.mean(), metrics)
        return g, d, (metrics, logits)

    def _play_shared(
        self, g: Net, d: Net, reals: Images, d_key: jax.Array, g_key: jax.Array, p: jax.Array | None
    ) -> tuple[Net, Net, Seen]:
        """One pass through G serves D's last update and G's own (DCGAN)."""
        last = jax.tree.map(lambda x: x[-1], reals)
        label = self.fake_label(g_key, last["label"])

        def draw(params: Tree) -> tuple[jax.Array, Tree]:
            return self.players.fakes(params, g.stats, g_key, self.batch, label)

        fake, pull, stats = jax.vjp(draw, g.params, has_aux=True)
        many_key, last_key = jax.random.split(d_key)
        d, _ = self._d_steps(d, dataclasses.replace(g, stats=stats), jax.tree.map(lambda x: x[:-1], reals), many_key, p)
        grads, (d_stats, seen) = self._d_gradient(d, d.stats, last, {"image": fake, "label": label}, last_key, p)
        d, (metrics, logits) = self._d_update(d, grads, d_stats, jax.tree.map(lambda x: x[None], seen))
        value, slope = jax.value_and_grad(lambda fake: self._g_loss(d, fake, label, g_key, p))(fake)
        g, metrics = self._g_update(g, pull(slope)[0], stats, value, metrics)
        return g, d, (metrics, logits)

    # -- G ---------------------------------------------------------------------------------------------

    def _g_loss(self, d: Net, fake: jax.Array, label: Label, key: jax.Array, p: jax.Array | None) -> jax.Array:
        verdict = self.players.judge(d.params, d.stats, fake, label, look(key, "look", p))
        return self.loss.generator(verdict.logits) + verdict.wrong

    def _g_update(self, g: Net, grads: Tree, stats: Tree, value: jax.Array, metrics: Metrics) -> tuple[Net, Metrics]:
        grads, g = self.cleaned(grads), dataclasses.replace(g, stats=stats)
        metrics = {**metrics, "loss_g": value, "grad_g": optax.tree.norm(grads)}
        return g.update(self.guide(g, grads) if self.guide else grads, self.g_opt), metrics

    # -- D ---------------------------------------------------------------------------------------------

    def _d_steps(self, d: Net, g: Net, reals: Images, key: jax.Array, p: jax.Array | None) -> tuple[Net, Seen]:
        """One D update for each of `reals`, on fakes drawn for it; what the last one saw."""
        count = len(reals["image"])
        if not count:
            return d, ({}, jnp.zeros(0))

        def body(d: Net, x: tuple[Images, jax.Array]) -> tuple[Net, Seen]:
            def gradient(stats: Tree, real: Images, key: jax.Array) -> Any:
                fake_key, key = jax.random.split(key)
                label = self.fake_label(fake_key, real["label"])
                fake, _ = self.players.fakes(g.params, g.stats, fake_key, len(real["image"]), label)
                return self._d_gradient(d, stats, real, {"image": fake, "label": label}, key, p)

            grads, stats, seen = accumulate(gradient, d.params, d.stats, *x, self.accumulate)
            return self._d_update(d, grads, stats, seen)

        d, seen = inner_loop(body, d, (reals, jax.random.split(key, count)))
        return d, jax.tree.map(lambda x: x[-1], seen)

    def _d_update(self, d: Net, grads: Tree, stats: Tree, seen: Seen) -> tuple[Net, Seen]:
        grads = self.cleaned(grads)
        metrics = {**jax.tree.map(lambda x: x.mean(0), seen[0]), "grad_d": optax.tree.norm(grads)}
        return dataclasses.replace(d, stats=stats).update(grads, self.d_opt), (metrics, seen[1].reshape(-1))

    def _d_gradient(
        self, d: Net, stats: Tree, real: Images, fake: Images, key: jax.Array, p: jax.Array | None
    ) -> tuple[Tree, tuple[Tree, Seen]]:
        """The gradient of D's loss with what belongs to every update, D's new statistics, and what it saw."""
        fake = {**fake, "image": jax.lax.stop_gradient(fake["image"])}

        def objective(params: Tree) -> tuple[jax.Array, tuple[Tree, Seen]]:
            on_real, new, one = self.players.judge(params, stats, real["image"], real["label"], look(key, "real", p))
            on_fake, new, other = self.players.judge(params, new, fake["image"], fake["label"], look(key, "fake", p))
            value = self.loss.discriminator(on_real, on_fake) + one + other
            metrics = {"loss_d": value, "real": on_real.mean(), "fake": on_fake.mean()}
            extra, penalties_now = self._penalties(params, stats, real, fake, key, p)
            extra = extra + self.drift * jnp.square(on_real).mean()
            return value + extra, (new, (metrics | penalties_now, on_real))

        return jax.grad(objective, has_aux=True)(d.params)

    def _penalties(
        self, params: Tree, stats: Tree, real: Images, fake: Images, key: jax.Array, p: jax.Array | None
    ) -> tuple[jax.Array, Metrics]:
        """Those that are part of every D update: their weighted sum, and each by name."""
        critic = self.players.critic(stats, real["label"], look(key, "penalty", p))
        metrics, total = {}, jnp.zeros(())
        if self.gp_weight:
            mix = shard_batch(jax.random.uniform(key, (len(real["image"]), 1, 1, 1)), self.players.mesh)
            between = real["image"] + mix * (fake["image"] - real["image"])
            metrics["gp"] = penalties.gradient_penalty(critic, penalties.wgan_gp, params, between)
            total = total + self.gp_weight * metrics["gp"]
        if self.r1_gamma and self.r1_every == 1:
            metrics["r1"] = penalties.gradient_penalty(critic, penalties.r1, params, real["image"])
            total = total + self.r1_gamma * metrics["r1"]
        return total, metrics
