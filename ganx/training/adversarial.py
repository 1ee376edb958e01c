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
from flax import struct
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data.example import SourceSpec
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.models import build_discriminator, build_generator, describe
from ganx.training import penalties
from ganx.training.config import check_choice
from ganx.training.loops import inner_loop, when
from ganx.training.losses import LOSSES, Loss, loss
from ganx.training.mesh import shard_batch
from ganx.training.method import Batch, Method, Metrics

Tree = Any


@struct.dataclass
class Net:
    """One network in training: its parameters, every other collection, and its optimiser's state."""

    params: Tree
    stats: Tree
    opt: Tree


@struct.dataclass
class State:
    """All that the next step needs.

    `key` never changes: every draw folds it with `step`. `ema` is the averaged generator as whole variables.
    `last` holds the latest value of each lazy penalty, `path_mean` the running mean path length.
    """

    step: jax.Array
    key: jax.Array
    g: Net
    d: Net
    ema: Tree
    path_mean: jax.Array
    last: dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Game:
    """The pure functions of one adversarial game; fields are fixed for a run."""

    generator: Any
    discriminator: Any
    loss: Loss
    prior: str
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
    mixing: float
    ema_decay: float
    mesh: Mesh | None

    # -- the state -------------------------------------------------------------------------------------

    def init(self, key: jax.Array, image_shape: tuple[int, ...]) -> State:
        g_key, d_key, run_key = jax.random.split(key, 3)
        z = jnp.zeros((2, *self.generator.latent_shape()))
        g_variables = self.generator.init(g_key, z)
        d_variables = self.discriminator.init(d_key, jnp.zeros((4, *image_shape)))
        return State(
            step=jnp.zeros((), jnp.int32),
            key=run_key,
            g=_net(g_variables, self.g_opt),
            d=_net(d_variables, self.d_opt),
            ema=jax.tree.map(jnp.copy, g_variables),
            path_mean=jnp.zeros(()),
            last={name: jnp.zeros(()) for name in self.lazy()},
        )

    def lazy(self) -> dict[str, int]:
        """Penalties with an optimiser step of their own, and how often they run."""
        lazy = {"r1": self.r1_every} if self.r1_gamma and self.r1_every > 1 else {}
        return {**lazy, "path_length": self.path_every} if self.path_weight else lazy

    # -- one step --------------------------------------------------------------------------------------

    def step(self, state: State, batch: Batch, due: Mapping[str, Any]) -> tuple[State, Metrics]:
        """D's updates, then G's, then the lazy penalties whose turn it is, then the average."""
        d_key, g_key, lazy_key = jax.random.split(jax.random.fold_in(state.key, state.step), 3)
        reals = batch["image"].reshape(self.d_steps, self.batch, *batch["image"].shape[1:])
        g, d, metrics = self._play(state.g, state.d, reals, d_key, g_key)
        state = state.replace(g=g, d=d)
        for name in self.lazy():
            penalise = getattr(self, f"_{name}_step")
            key, lazy_key = jax.random.split(lazy_key)
            state = when(due[name], lambda s, p=penalise, k=key: p(s, reals[-1], k), lambda s: s, state)
        state = state.replace(step=state.step + 1, ema=self._average(state.ema, state.g))
        return state, metrics | state.last

    def _play(self, g: Net, d: Net, reals: jax.Array, d_key: jax.Array, g_key: jax.Array) -> tuple[Net, Net, Metrics]:
        """`d_steps` discriminator updates and one generator update."""
        if self.share_fakes:  # one pass through G serves the last D update and G's own
            g_of = lambda params: self.fakes(params, g.stats, g_key)  # noqa: E731
            (fake, g_stats), pull = _vjp_with_aux(g_of, g.params)
            g = g.replace(stats=g_stats)
            d, d_metrics = self._d_steps(d, g, reals[:-1], d_key, fake, reals[-1])
            g_loss, slope = jax.value_and_grad(lambda x: self.loss.generator(self.judge(d.params, d.stats, x)[0]))(fake)
            (grads,) = pull(slope)
        else:
            d, d_metrics = self._d_steps(d, g, reals, d_key)
            g_of_d = lambda params: self._g_loss(params, g.stats, d, g_key)  # noqa: E731
            (g_loss, g_stats), grads = jax.value_and_grad(g_of_d, has_aux=True)(g.params)
            g = g.replace(stats=g_stats)
        g = _update(g, grads, self.g_opt)
        return g, d, {**d_metrics, "loss_g": g_loss, "grad_g": optax.tree.norm(grads)}

    def _d_steps(
        self,
        d: Net,
        g: Net,
        reals: jax.Array,
        key: jax.Array,
        fake: jax.Array | None = None,
        real: jax.Array | None = None,
    ) -> tuple[Net, Metrics]:
        """One D update for each of `reals`, on fakes drawn for it, then one on the given `real` and `fake`."""
        keys = jax.random.split(key, len(reals) + 1)

        def body(d: Net, x: tuple[jax.Array, jax.Array]) -> tuple[Net, Metrics]:
            real, key = x
            fake_key, mix_key = jax.random.split(key)
            fake, _ = self.fakes(g.params, g.stats, fake_key)
            return self._d_step(d, real, jax.lax.stop_gradient(fake), mix_key)

        metrics: Metrics = {}
        if len(reals):
            d, every = inner_loop(body, d, (reals, keys[:-1]))
            metrics = jax.tree.map(lambda x: x[-1], every)
        if fake is not None:
            d, metrics = self._d_step(d, real, jax.lax.stop_gradient(fake), keys[-1])
        return d, metrics

    def _d_step(self, d: Net, real: jax.Array, fake: jax.Array, key: jax.Array) -> tuple[Net, Metrics]:
        def objective(params: Tree) -> tuple[jax.Array, tuple[Tree, Metrics]]:
            on_real, stats = self.judge(params, d.stats, real)
            on_fake, stats = self.judge(params, stats, fake)
            value = self.loss.discriminator(on_real, on_fake)
            metrics = {"loss_d": value, "real": on_real.mean(), "fake": on_fake.mean()}
            if self.drift:
                value = value + self.drift * jnp.square(on_real).mean()
            if self.gp_weight:
                mix = shard_batch(jax.random.uniform(key, (len(real), 1, 1, 1)), self.mesh)
                between = real + mix * (fake - real)
                metrics["gp"] = penalties.gradient_penalty(self._critic(d), penalties.wgan_gp, params, between)
                value = value + self.gp_weight * metrics["gp"]
            if self.r1_gamma and self.r1_every == 1:
                metrics["r1"] = penalties.gradient_penalty(self._critic(d), penalties.r1, params, real)
                value = value + self.r1_gamma * metrics["r1"]
            return value, (stats, metrics)

        grads, (stats, metrics) = jax.grad(objective, has_aux=True)(d.params)
        metrics = {**metrics, "grad_d": optax.tree.norm(grads)}
        return _update(d.replace(stats=stats), grads, self.d_opt), metrics

    def _g_loss(self, params: Tree, stats: Tree, d: Net, key: jax.Array) -> tuple[jax.Array, Tree]:
        fake, stats = self.fakes(params, stats, key)
        return self.loss.generator(self.judge(d.params, d.stats, fake)[0]), stats

    def _r1_step(self, state: State, real: jax.Array, key: jax.Array) -> State:
        """Lazy R1 (Karras et al. 2020, appendix B): the penalty times its interval, in a step of its own."""
        del key
        value, grads = jax.value_and_grad(
            lambda params: penalties.gradient_penalty(self._critic(state.d), penalties.r1, params, real)
        )(state.d.params)
        weight = self.r1_gamma * self.r1_every
        d = _update(state.d, jax.tree.map(lambda g: weight * g, grads), self.d_opt)
        return state.replace(d=d, last={**state.last, "r1": value})

    def _path_length_step(self, state: State, real: jax.Array, key: jax.Array) -> State:
        """Lazy path length regularisation (Karras et al. 2020, eq. 4), on a part of the batch."""
        del real
        z_key, net_key, y_key = jax.random.split(key, 3)
        n = max(1, self.batch // self.path_shrink)
        codes, context = self._codes(state.g.params, state.g.stats, z_key, net_key, n)[:2]

        def images(params: Tree, ws: jax.Array) -> jax.Array:
            names = self.generator.stage_names()[1:]
            variables = {"params": params, **state.g.stats}
            return self.generator.apply(variables, names, ws, context, True, method="run")[0]

        def mapped(params: Tree) -> jax.Array:
            return self._codes(params, state.g.stats, z_key, net_key, n)[0]

        noise = shard_batch(
            jax.random.normal(y_key, (n, *jax.eval_shape(images, state.g.params, codes).shape[1:])), self.mesh
        )
        (value, mean), grads = penalties.path_length(images, mapped, state.g.params, noise, state.path_mean)
        weight = self.path_weight * self.path_every
        g = _update(state.g, jax.tree.map(lambda x: weight * x, grads), self.g_opt)
        return state.replace(g=g, path_mean=mean, last={**state.last, "path_length": value})

    # -- the networks ----------------------------------------------------------------------------------

    def latents(self, key: jax.Array, n: int) -> jax.Array:
        shape = (n, *self.generator.latent_shape())
        uniform = self.prior == "uniform"
        z = jax.random.uniform(key, shape, minval=-1.0) if uniform else jax.random.normal(key, shape)
        return shard_batch(z, self.mesh)

    def fakes(self, params: Tree, stats: Tree, key: jax.Array) -> tuple[jax.Array, Tree]:
        """A batch of training images `[batch, H, W, C]` and G's updated statistics."""
        z_key, net_key = jax.random.split(key)
        codes, context, stats = self._codes(params, stats, z_key, net_key, self.batch)
        names = self.generator.stage_names()[1:]
        (image, _), stats = self._run({"params": params, **stats}, names, codes, context)
        return image, stats

    def _codes(
        self, params: Tree, stats: Tree, z_key: jax.Array, net_key: jax.Array, n: int
    ) -> tuple[jax.Array, Tree, Tree]:
        """The first stage's features, styles mixed if asked, what later stages need, and updated statistics."""
        one_key, two_key, mix_key = jax.random.split(z_key, 3)
        first = self.generator.stage_names()[:1]
        variables = {"params": params, **stats}
        conditions = self.generator.train_conditions(net_key)
        x, context = self.generator.apply(variables, self.latents(one_key, n), method="begin", **conditions)
        context = shard_batch(context, self.mesh)
        (codes, after), stats = self._run(variables, first, x, context)
        if self.mixing:
            (other, _), _ = self._run(variables, first, self.latents(two_key, n), context)
            codes = self._mix(codes, other, mix_key)
        return codes, after, stats

    def _run(self, variables: Tree, names: tuple[str, ...], x: jax.Array, context: Tree) -> tuple[Any, Tree]:
        mutable = [name for name in variables if name != "params"]
        out = self.generator.apply(variables, names, x, context, True, method="run", mutable=mutable)
        return out[0], {**{k: variables[k] for k in mutable}, **out[1]}

    def _mix(self, codes: jax.Array, other: jax.Array, key: jax.Array) -> jax.Array:
        """Style mixing: with probability `mixing`, layers from a random cutoff on take the other code."""
        which_key, where_key = jax.random.split(key)
        n, layers = codes.shape[:2]
        cutoff = jax.random.randint(where_key, (n, 1), 1, layers)
        cutoff = jnp.where(jax.random.uniform(which_key, (n, 1)) < self.mixing, cutoff, layers)
        return jnp.where((jnp.arange(layers) < cutoff)[..., None], codes, other)

    def judge(self, params: Tree, stats: Tree, x: jax.Array) -> tuple[jax.Array, Tree]:
        """D's logits `[n]` in training mode and its updated statistics."""
        logits, new = self.discriminator.apply({"params": params, **stats}, x, train=True, mutable=list(stats))
        return logits, {**stats, **new}

    def _critic(self, d: Net) -> Any:
        """D as penalties want it: a function of parameters and images that updates nothing."""
        return lambda params, x: self.judge(params, d.stats, x)[0]

    def _average(self, ema: Tree, g: Net) -> Tree:
        """Exponential moving average of parameters and batch statistics; other collections are copied."""
        now = {"params": g.params, **g.stats}
        blend = lambda old, new: optax.incremental_update(new, old, 1 - self.ema_decay)  # noqa: E731
        return {k: blend(ema[k], v) if k in ("params", "batch_stats") else v for k, v in now.items()}


def adversarial(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Method:
    """The method that a configuration describes, for images of the given source."""
    game = build_game(config, data, mesh)
    spec = None

    def init(key: jax.Array) -> State:
        return game.init(key, data.shape)

    def gan(state: State) -> Gan:
        nonlocal spec
        spec = spec or describe(config.model.family, game.generator, state.ema, data.name)
        return Gan(game.generator, state.ema, spec)

    def sample(state: State, key: jax.Array, n: int) -> jax.Array:
        handle = gan(state)
        return handle(handle.latents(key, n))

    def critic(state: State) -> tuple[Any, Tree]:
        return game.discriminator, {"params": state.d.params, **state.d.stats}

    return Method(init, game.step, sample, gan, critic, config.batch * config.d_steps, game.lazy())


def build_game(config: ConfigDict, data: SourceSpec, mesh: Mesh | None = None) -> Game:
    """Checks a configuration and builds its networks, optimisers and losses."""
    check_choice("loss", config.loss, LOSSES)
    check_choice("dtype", config.dtype, ("float32", "bfloat16"))
    height, width, channels = _image_shape(data)
    if height != width:
        raise GanxError(f"{data.name} gives {height} x {width} images; add ?crop=center-square&size=N to the source")
    shared = {"resolution": height, "dtype": config.dtype}
    family = config.model.family
    generator = build_generator(family, {**shared, "channels": channels, **config.model.generator})
    styled = generator.stage_names()[0] == "map"
    if not styled and (config.path_length.weight or config.style_mixing):
        raise GanxError(f"{family} has no style codes; set config.path_length.weight and config.style_mixing to 0")
    return Game(
        generator=generator,
        discriminator=build_discriminator(family, {**shared, **config.model.discriminator}),
        loss=loss(config.loss),
        prior=generator.prior,
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
        mixing=config.style_mixing,
        ema_decay=0.5 ** (config.batch / (config.ema_kimg * 1000)) if config.ema_kimg else 0.0,
        mesh=mesh,
    )


def _image_shape(data: SourceSpec) -> tuple[int, ...]:
    if len(data.shape) != 3:
        raise GanxError(f"{data.name} gives points of shape {list(data.shape)}, not images; train it with E-GAN's nets")
    return data.shape


def _adam(config: ConfigDict, every: int) -> optax.GradientTransformation:
    """Adam, its constants adjusted for a lazy penalty in every `every`-th step (StyleGAN2, appendix B)."""
    c = every / (every + 1) if every > 1 else 1.0
    return optax.adam(config.lr * c, config.b1**c, config.b2**c, config.eps)


def _net(variables: Tree, opt: optax.GradientTransformation) -> Net:
    stats = {k: v for k, v in variables.items() if k != "params"}
    return Net(variables["params"], stats, opt.init(variables["params"]))


def _update(net: Net, grads: Tree, opt: optax.GradientTransformation) -> Net:
    updates, opt_state = opt.update(grads, net.opt, net.params)
    return net.replace(params=optax.apply_updates(net.params, updates), opt=opt_state)


def _vjp_with_aux(f: Any, x: Tree) -> tuple[Any, Any]:
    value, pull, aux = jax.vjp(f, x, has_aux=True)
    return (value, aux), pull
