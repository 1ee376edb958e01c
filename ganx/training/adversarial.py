"""The adversarial game of one generator and one discriminator, as a `Method`.

Losses, penalties and families are chosen by name and know nothing of each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data.example import SourceSpec
from ganx.errors import GanxError
from ganx.gan import Gan, Spec
from ganx.models import build_discriminator, build_generator, describe
from ganx.training import penalties
from ganx.training.config import check_choice
from ganx.training.loops import inner_loop, when
from ganx.training.losses import LOSSES, Loss, loss
from ganx.training.mesh import shard_batch
from ganx.training.method import Batch, Method, Metrics
from ganx.training.players import Players
from ganx.training.state import Net, State, average, new_net

Tree = Any


@dataclasses.dataclass(frozen=True)
class Game:
    """The pure functions of one adversarial game; fields are fixed for a run, named as in the configuration."""

    players: Players
    loss: Loss
    g_opt: optax.GradientTransformation
    d_opt: optax.GradientTransformation
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
    ema_decay: float

    def init(self, key: jax.Array, image_shape: tuple[int, ...]) -> State:
        """A fresh state."""
        g_key, d_key, run_key = jax.random.split(key, 3)
        generator, discriminator = self.players.generator, self.players.discriminator
        g_variables = generator.init(g_key, jnp.zeros((2, *generator.latent_shape())))
        d_variables = discriminator.init(d_key, jnp.zeros((4, *image_shape)))
        return State(
            step=jnp.zeros((), jnp.int32),
            key=run_key,
            g=new_net(g_variables, self.g_opt),
            d=new_net(d_variables, self.d_opt),
            ema=jax.tree.map(jnp.copy, g_variables),
            path_mean=jnp.zeros(()),
            last={name: jnp.zeros(()) for name in self.lazy()},
        )

    def lazy(self) -> dict[str, int]:
        """Penalties with an optimiser step of their own, and how often they run."""
        r1 = {"r1": self.r1_every} if self.r1_gamma and self.r1_every > 1 else {}
        path = {"path_length": self.path_every} if self.path_weight else {}
        return r1 | path

    def step(self, state: State, batch: Batch, due: Mapping[str, Any]) -> tuple[State, Metrics]:
        """D's updates, then G's, then the lazy penalties whose turn it is, then the average."""
        d_key, g_key, path_key = jax.random.split(jax.random.fold_in(state.key, state.step), 3)
        reals = batch["image"].reshape(self.d_steps, self.batch, *batch["image"].shape[1:])
        play = self._play_shared if self.share_fakes else self._play_fresh
        g, d, metrics = play(state.g, state.d, reals, d_key, g_key)
        state = dataclasses.replace(state, g=g, d=d)
        if "r1" in self.lazy():
            state = when(due["r1"], lambda s: self._r1_step(s, reals[-1]), lambda s: s, state)
        if "path_length" in self.lazy():
            state = when(due["path_length"], lambda s: self._path_length_step(s, path_key), lambda s: s, state)
        ema = average(state.ema, state.g.variables, self.ema_decay)
        return dataclasses.replace(state, step=state.step + 1, ema=ema), metrics | state.last

    # -- the game ------------------------------------------------------------------------------------

    def _play_fresh(self, g: Net, d: Net, reals: jax.Array, d_key: jax.Array, g_key: jax.Array) -> Any:
        """D's updates on fakes of their own, then G's on fresh ones (StyleGAN2)."""
        d, d_metrics = self._d_steps(d, g, reals, d_key)

        def objective(params: Tree) -> tuple[jax.Array, Tree]:
            fake, stats = self.players.fakes(params, g.stats, g_key, self.batch)
            return self.loss.generator(self.players.judge(d.params, d.stats, fake)[0]), stats

        (g_loss, stats), grads = jax.value_and_grad(objective, has_aux=True)(g.params)
        g = dataclasses.replace(g, stats=stats).update(grads, self.g_opt)
        return g, d, {**d_metrics, "loss_g": g_loss, "grad_g": optax.tree.norm(grads)}

    def _play_shared(self, g: Net, d: Net, reals: jax.Array, d_key: jax.Array, g_key: jax.Array) -> Any:
        """One pass through G serves D's last update and G's own (DCGAN)."""

        def draw(params: Tree) -> tuple[jax.Array, Tree]:
            return self.players.fakes(params, g.stats, g_key, self.batch)

        fake, pull, stats = jax.vjp(draw, g.params, has_aux=True)
        g = dataclasses.replace(g, stats=stats)
        many_key, last_key = jax.random.split(d_key)
        d, _ = self._d_steps(d, g, reals[:-1], many_key)
        d, d_metrics = self._d_step(d, reals[-1], fake, last_key)

        def objective(fake: jax.Array) -> jax.Array:
            return self.loss.generator(self.players.judge(d.params, d.stats, fake)[0])

        g_loss, slope = jax.value_and_grad(objective)(fake)
        (grads,) = pull(slope)
        return g.update(grads, self.g_opt), d, {**d_metrics, "loss_g": g_loss, "grad_g": optax.tree.norm(grads)}

    def _d_steps(self, d: Net, g: Net, reals: jax.Array, key: jax.Array) -> tuple[Net, Metrics]:
        """One D update for each of `reals`, on fakes drawn for it; the metrics of the last."""
        if not len(reals):
            return d, {}

        def body(d: Net, x: tuple[jax.Array, jax.Array]) -> tuple[Net, Metrics]:
            real, key = x
            fake_key, mix_key = jax.random.split(key)
            fake, _ = self.players.fakes(g.params, g.stats, fake_key, self.batch)
            return self._d_step(d, real, fake, mix_key)

        d, metrics = inner_loop(body, d, (reals, jax.random.split(key, len(reals))))
        return d, jax.tree.map(lambda x: x[-1], metrics)

    def _d_step(self, d: Net, real: jax.Array, fake: jax.Array, key: jax.Array) -> tuple[Net, Metrics]:
        fake = jax.lax.stop_gradient(fake)

        def objective(params: Tree) -> tuple[jax.Array, tuple[Tree, Metrics]]:
            on_real, stats = self.players.judge(params, d.stats, real)
            on_fake, stats = self.players.judge(params, stats, fake)
            value = self.loss.discriminator(on_real, on_fake)
            metrics = {"loss_d": value, "real": on_real.mean(), "fake": on_fake.mean()}
            extra, penalties_now = self._penalties(params, d, real, fake, key)
            extra = extra + self.drift * jnp.square(on_real).mean()
            return value + extra, (stats, metrics | penalties_now)

        grads, (stats, metrics) = jax.grad(objective, has_aux=True)(d.params)
        d = dataclasses.replace(d, stats=stats).update(grads, self.d_opt)
        return d, {**metrics, "grad_d": optax.tree.norm(grads)}

    # -- the penalties -------------------------------------------------------------------------------

    def _penalties(
        self, params: Tree, d: Net, real: jax.Array, fake: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        """Those that are part of every D update: their weighted sum, and each by name."""
        critic, metrics, total = self.players.critic(d.stats), {}, jnp.zeros(())
        if self.gp_weight:
            mix = shard_batch(jax.random.uniform(key, (len(real), 1, 1, 1)), self.players.mesh)
            between = real + mix * (fake - real)
            metrics["gp"] = penalties.gradient_penalty(critic, penalties.wgan_gp, params, between)
            total = total + self.gp_weight * metrics["gp"]
        if self.r1_gamma and self.r1_every == 1:
            metrics["r1"] = penalties.gradient_penalty(critic, penalties.r1, params, real)
            total = total + self.r1_gamma * metrics["r1"]
        return total, metrics

    def _r1_step(self, state: State, real: jax.Array) -> State:
        """Lazy R1 (Karras et al. 2020, appendix B): the penalty times its interval, in a step of its own."""
        critic = self.players.critic(state.d.stats)

        def objective(params: Tree) -> jax.Array:
            return penalties.gradient_penalty(critic, penalties.r1, params, real)

        value, grads = jax.value_and_grad(objective)(state.d.params)
        d = state.d.update(_scaled(grads, self.r1_gamma * self.r1_every), self.d_opt)
        return dataclasses.replace(state, d=d, last={**state.last, "r1": value})

    def _path_length_step(self, state: State, key: jax.Array) -> State:
        """Lazy path length regularisation (Karras et al. 2020, eq. 4), on a part of the batch."""
        players, stats, params = self.players, state.g.stats, state.g.params
        code_key, noise_key = jax.random.split(key)
        n = max(1, self.batch // self.path_shrink)
        ws, context, _ = players.codes(params, stats, code_key, n)

        def images(params: Tree, ws: jax.Array) -> jax.Array:
            return players.synthesise(params, stats, ws, context)

        def codes(params: Tree) -> jax.Array:
            return players.codes(params, stats, jax.random.clone(code_key), n)[0]

        shape = jax.eval_shape(images, params, ws).shape
        noise = shard_batch(jax.random.normal(noise_key, shape), players.mesh)
        (value, mean), grads = penalties.path_length(images, codes, params, noise, state.path_mean)
        g = state.g.update(_scaled(grads, self.path_weight * self.path_every), self.g_opt)
        return dataclasses.replace(state, g=g, path_mean=mean, last={**state.last, "path_length": value})


def adversarial(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Method:
    """The method that a configuration describes, for images of the given source."""
    game = build_game(config, data, mesh)
    generator, discriminator = game.players.generator, game.players.discriminator
    spec: list[Spec] = []  # found at the first call, since it needs the variables' shapes

    def gan(state: State) -> Gan:
        if not spec:
            spec.append(describe(config.model.family, generator, state.ema, data.name))
        return Gan(generator, state.ema, spec[0])

    def sample(state: State, key: jax.Array, n: int) -> jax.Array:
        handle = gan(state)
        return handle(handle.latents(key, n))

    return Method(
        init=lambda key: game.init(key, data.shape),
        step=game.step,
        sample=sample,
        gan=gan,
        critic=lambda state: (discriminator, state.d.variables),
        images=config.batch * config.d_steps,
        lazy=game.lazy(),
    )


def build_game(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Game:
    """Checks a configuration and builds its networks, optimisers and losses.

    Raises:
      GanxError: an unknown name, an option that the family does not have, images that are not square.
    """
    check_choice("loss", config.loss, LOSSES)
    return Game(
        players=_players(config, data, mesh),
        loss=loss(config.loss),
        g_opt=_adam(config.g, config.path_length.every if config.path_length.weight else 1),
        d_opt=_adam(config.d, config.r1.every if config.r1.gamma else 1),
        batch=config.batch,
        d_steps=config.d_steps,
        share_fakes=config.share_fakes,
        drift=config.drift,
        gp_weight=config.gradient_penalty.weight,
        r1_gamma=config.r1.gamma,
        r1_every=config.r1.every,
        path_weight=config.path_length.weight,
        path_every=config.path_length.every,
        path_shrink=config.path_length.shrink,
        ema_decay=0.5 ** (config.batch / (config.ema_kimg * 1000)) if config.ema_kimg else 0.0,
    )


def _players(config: ConfigDict, data: SourceSpec, mesh: Mesh | None) -> Players:
    check_choice("dtype", config.dtype, ("float32", "bfloat16"))
    if len(data.shape) != 3:
        raise GanxError(f"{data.name} gives points of shape {list(data.shape)}, not images; choose a source of images")
    height, width, channels = data.shape
    if height != width:
        raise GanxError(f"{data.name} gives {height} x {width} images; add ?crop=center-square&size=N to the source")
    family, shared = config.model.family, {"resolution": height, "dtype": config.dtype}
    generator = build_generator(family, {**shared, "channels": channels, **config.model.generator})
    if generator.stage_names()[0] != "map" and (config.path_length.weight or config.style_mixing):
        raise GanxError(f"{family} has no style codes; set config.path_length.weight and config.style_mixing to 0")
    discriminator = build_discriminator(family, {**shared, **config.model.discriminator})
    return Players(generator, discriminator, config.style_mixing, mesh)


def _adam(config: ConfigDict, every: int) -> optax.GradientTransformation:
    """Adam, its constants adjusted for a lazy penalty in every `every`-th step (StyleGAN2, appendix B)."""
    c = every / (every + 1) if every > 1 else 1.0
    return optax.adam(config.lr * c, config.b1**c, config.b2**c, config.eps)


def _scaled(tree: Tree, factor: float) -> Tree:
    return jax.tree.map(lambda leaf: factor * leaf, tree)
