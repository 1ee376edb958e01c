"""The two networks of the game as pure functions in training mode, for every family."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ganx.training.mesh import shard_batch

Tree = Any


@dataclasses.dataclass(frozen=True)
class Players:
    """Generator and discriminator. Everything drawn here is sharded over the mesh's data axis.

    Attributes:
      generator, discriminator: modules of one family.
      mixing: probability of style mixing (style-based families).
      mesh: the devices; None for one.
    """

    generator: Any
    discriminator: Any
    mixing: float
    mesh: Mesh | None

    def latents(self, key: jax.Array, n: int) -> jax.Array:
        """`n` codes from the generator's prior."""
        shape = (n, *self.generator.latent_shape())
        uniform = self.generator.prior == "uniform"
        z = jax.random.uniform(key, shape, minval=-1.0) if uniform else jax.random.normal(key, shape)
        return shard_batch(z, self.mesh)

    def fakes(self, params: Tree, stats: Tree, key: jax.Array, n: int) -> tuple[jax.Array, Tree]:
        """Training images `[n, H, W, C]` and the generator's updated statistics."""
        codes, context, stats = self.codes(params, stats, key, n)
        names = self.generator.stage_names()[1:]
        (image, _), stats = self._run({"params": params, **stats}, names, codes, context)
        return image, stats

    def codes(self, params: Tree, stats: Tree, key: jax.Array, n: int) -> tuple[jax.Array, Tree, Tree]:
        """The first stage's features, styles mixed if asked; what later stages need; updated statistics."""
        one_key, two_key, mix_key, net_key = jax.random.split(key, 4)
        first = self.generator.stage_names()[:1]
        variables = {"params": params, **stats}
        conditions = self.generator.train_conditions(net_key)
        x, context = self.generator.apply(variables, self.latents(one_key, n), method="begin", **conditions)
        context = shard_batch(context, self.mesh)
        (codes, after), stats = self._run(variables, first, x, context)
        if self.mixing:  # the second codes leave the running mean of w alone
            (other, _), _ = self._run(variables, first, self.latents(two_key, n), context)
            codes = self._mix(codes, other, mix_key)
        return codes, after, stats

    def synthesise(self, params: Tree, stats: Tree, codes: jax.Array, context: Tree) -> jax.Array:
        """Images from the first stage's features: what path length regularisation differentiates."""
        names = self.generator.stage_names()[1:]
        return self._run({"params": params, **stats}, names, codes, context)[0][0]

    def judge(self, params: Tree, stats: Tree, x: jax.Array) -> tuple[jax.Array, Tree]:
        """The discriminator's logits `[n]` and its updated statistics."""
        logits, new = self.discriminator.apply({"params": params, **stats}, x, train=True, mutable=list(stats))
        return logits, {**stats, **new}

    def critic(self, stats: Tree) -> Callable[[Tree, jax.Array], jax.Array]:
        """The discriminator as penalties want it: a function of parameters and images that updates nothing."""
        return lambda params, x: self.judge(params, stats, x)[0]

    def _run(self, variables: Tree, names: tuple[str, ...], x: jax.Array, context: Tree) -> tuple[Any, Tree]:
        mutable = [name for name in variables if name != "params"]
        out, new = self.generator.apply(variables, names, x, context, True, method="run", mutable=mutable)
        return out, {**{k: variables[k] for k in mutable}, **new}

    def _mix(self, codes: jax.Array, other: jax.Array, key: jax.Array) -> jax.Array:
        """Style mixing: with probability `mixing`, layers from a random cutoff on take the other code."""
        which_key, where_key = jax.random.split(key)
        n, layers = codes.shape[:2]
        cutoff = jax.random.randint(where_key, (n, 1), 1, layers)
        mixed = jax.random.uniform(which_key, (n, 1)) < self.mixing
        cutoff = shard_batch(jnp.where(mixed, cutoff, layers), self.mesh)
        return jnp.where((jnp.arange(layers) < cutoff)[..., None], codes, other)
