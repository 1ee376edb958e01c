"""The two networks of the game as pure functions in training mode, for every family."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from ganx.training.keys import named
from ganx.training.mesh import shard_batch

Tree = Any
Label = jax.Array | None
Look = tuple[jax.Array, jax.Array]
Augment = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""`(images [n, H, W, C], key, p) -> images`, see `ganx.training.ada.augment`."""


class Verdict(NamedTuple):
    """Of a discriminator: logits `[n]`, its updated statistics, and the loss of the classes that it names.

    That loss is 0 for all but an AC-GAN's (Odena et al. 2017; PGGAN), which has a method `outputs`: the score, then a
    logit a class, `[n, 1 + classes]`.
    """

    logits: jax.Array
    stats: Tree
    wrong: jax.Array | float


@dataclasses.dataclass(frozen=True)
class Players:
    """Generator and discriminator. Everything drawn here is sharded over the mesh's data axis.

    Attributes:
      generator, discriminator: modules of one family.
      mixing: probability of style mixing (style-based families).
      mesh: the devices; None for one.
      augment: what happens to images before the discriminator sees them; None for nothing.
      conditions: what both networks are told in every call besides labels, such as the level of detail.
    """

    generator: Any
    discriminator: Any
    mixing: float
    mesh: Mesh | None
    augment: Augment | None = None
    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def classes(self) -> int:
        """How many classes the game is about, 0 for none."""
        return getattr(self.generator, "classes", 0)

    def latents(self, key: jax.Array, n: int) -> jax.Array:
        """`n` codes from the generator's prior."""
        shape = (n, *self.generator.latent_shape())
        uniform = self.generator.prior == "uniform"
        z = jax.random.uniform(key, shape, minval=-1.0) if uniform else jax.random.normal(key, shape)
        return shard_batch(z, self.mesh)

    def labels(self, key: jax.Array, n: int) -> jax.Array:
        """`n` classes, drawn uniformly."""
        return shard_batch(jax.random.randint(key, (n,), 0, self.classes), self.mesh)

    def fakes(self, params: Tree, stats: Tree, key: jax.Array, n: int, label: Label = None) -> tuple[jax.Array, Tree]:
        """Training images `[n, H, W, C]` (of classes `label` `[n]`) and the generator's updated statistics."""
        codes, context, stats = self.codes(params, stats, key, n, label)
        names = self.generator.stage_names()[1:]
        (image, _), stats = self._run({"params": params, **stats}, names, codes, context)
        return image, stats

    def codes(
        self, params: Tree, stats: Tree, key: jax.Array, n: int, label: Label = None
    ) -> tuple[jax.Array, Tree, Tree]:
        """The first stage's features, styles mixed if asked; what later stages need; updated statistics."""
        one_key, two_key, mix_key, net_key = jax.random.split(key, 4)
        first = self.generator.stage_names()[:1]
        variables = {"params": params, **stats}
        conditions = {**self.generator.train_conditions(net_key), **self.conditions, **_given(label)}
        x, context = self.generator.apply(variables, self.latents(one_key, n), method="begin", **conditions)
        context = shard_batch(context, self.mesh)
        (codes, after), stats = self._run(variables, first, x, context)
        if self.mixing:  # the second codes leave the running mean of w alone
            (other, _), _ = self._run(variables, first, self.latents(two_key, n), context)
            codes = self._mix(codes, other, mix_key, self._layers_in_use(codes))
        return codes, after, stats

    def synthesise(self, params: Tree, stats: Tree, codes: jax.Array, context: Tree) -> jax.Array:
        """Images from the first stage's features: what path length regularisation differentiates."""
        names = self.generator.stage_names()[1:]
        return self._run({"params": params, **stats}, names, codes, context)[0][0]

    def judge(self, params: Tree, stats: Tree, x: jax.Array, label: Label = None, look: Look | None = None) -> Verdict:
        """What the discriminator says of images `[n, H, W, C]`.

        `look` is (key, p): the images are augmented under that key with probability p; None leaves them as they are.
        """
        if self.augment is not None and look is not None:
            x = self.augment(x, *look)
        variables = {"params": params, **stats}
        if label is not None and hasattr(self.discriminator, "outputs"):
            outputs = self.discriminator.apply(variables, x, method="outputs", **self.conditions)
            wrong = optax.softmax_cross_entropy_with_integer_labels(outputs[:, 1:], label).mean()
            return Verdict(outputs[:, 0], stats, wrong)
        conditions = {**self.conditions, **_given(label)}
        logits, new = self.discriminator.apply(variables, x, train=True, mutable=list(stats), **conditions)
        return Verdict(logits, {**stats, **new}, 0.0)

    def critic(
        self, stats: Tree, label: Label = None, look: Look | None = None
    ) -> Callable[[Tree, jax.Array], jax.Array]:
        """The discriminator as penalties want it: a function of parameters and images that updates nothing."""
        return lambda params, x: self.judge(params, stats, x, label, look).logits

    def _run(self, variables: Tree, names: tuple[str, ...], x: jax.Array, context: Tree) -> tuple[Any, Tree]:
        mutable = [name for name in variables if name != "params"]
        out, new = self.generator.apply(variables, names, x, context, True, method="run", mutable=mutable)
        return out, {**{k: variables[k] for k in mutable}, **new}

    def _layers_in_use(self, codes: jax.Array) -> int:
        """How many of the layers of `codes` run: two fewer for every doubling that a growing generator lacks."""
        lod = self.conditions.get("lod")
        return codes.shape[1] - (0 if lod is None else 2 * lod.level)

    def _mix(self, codes: jax.Array, other: jax.Array, key: jax.Array, used: int) -> jax.Array:
        """Style mixing: with probability `mixing`, layers from a random cutoff on take the other code.

        The cutoff is one of 1 … `used` - 1, so that both codes reach layers that run (Karras et al. 2019, §3.1).
        """
        which_key, where_key = jax.random.split(key)
        n, layers = codes.shape[:2]
        cutoff = jax.random.randint(where_key, (n, 1), 1, used)
        mixed = jax.random.uniform(which_key, (n, 1)) < self.mixing
        cutoff = shard_batch(jnp.where(mixed, cutoff, layers), self.mesh)
        return jnp.where((jnp.arange(layers) < cutoff)[..., None], codes, other)


def look(key: jax.Array, name: str, p: jax.Array | None) -> Look | None:
    """How images are looked at: under a key for what `name` says, with probability `p`; None without augmentation."""
    return None if p is None else (named(key, name), p)


def _given(label: Label) -> dict[str, jax.Array]:
    return {} if label is None else {"label": label}
