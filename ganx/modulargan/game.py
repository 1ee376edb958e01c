"""ModularGAN's objectives: all transformers trained in parallel, each between encoder and reconstructor alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ganx.modulargan.losses import classification, l1, slope_penalty, wasserstein
from ganx.modulargan.targets import draw_targets
from ganx.training.mesh import shard_batch
from ganx.training.method import Metrics

Tree = Any
Batch = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights and forms of the losses, named as in the configuration."""

    classification: float = 1.0
    cycle_image: float = 10.0
    cycle_features: float = 10.0
    penalty: float = 10.0
    cls_loss: str = "softmax"
    grad_reduce: str = "sum"
    targets: str = "other"
    content_guard: bool = True
    cyclic_encoder: bool = True


@dataclasses.dataclass(frozen=True)
class Made:
    """What the modules made of a batch, transformers stacked along a first axis.

    Attributes:
      features: f and all f_i `[1 + modules, n, h, w, c]`.
      images: R of them `[1 + modules, n, H, W, C]`.
      targets: int32 `[n, modules]`.
    """

    features: jax.Array
    images: jax.Array
    targets: jax.Array


@dataclasses.dataclass(frozen=True)
class ModularGame:
    """Losses as pure functions of both sides' variables.

    Attributes:
      generator, discriminator: modules of the family "modular".
      weights: of the losses.
      active: attributes whose transformers take part; those that a frozen training leaves out do not.
      whole: whether encoder or reconstructor are trained, and so the image cycle counts.
      mesh: devices, None for one.
    """

    generator: Any
    discriminator: Any
    weights: Weights
    active: tuple[str, ...]
    whole: bool = True
    mesh: Mesh | None = None

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of values of each active attribute."""
        sizes = {name: len(values) for name, values in self.generator.attributes}
        return tuple(sizes[name] for name in self.active)

    def make(self, g: Tree, batch: Batch, key: jax.Array) -> Made:
        """One pass: the encoder once for all transformers, the reconstructor once over all that they made.

        `batch` holds "image" `[n, H, W, C]`, "values" int32 `[n, active]` and, for generation, "content" `[n]`.
        """
        target_key, latent_key = jax.random.split(key)
        targets = shard_batch(draw_targets(target_key, batch["values"], self.counts, self.weights.targets), self.mesh)
        if self.generator.classes:
            z = jax.random.normal(latent_key, (len(batch["image"]), self.generator.latent))
            f = self._g(g, shard_batch(z, self.mesh), batch["content"], method="generate")
        else:
            f = self._g(g, batch["image"], method="encode")
        changed = [self._g(g, name, f, targets[:, i], method="transform")[0] for i, name in enumerate(self.active)]
        features = [f, *changed]
        return Made(jnp.stack(features), self._each(g, features, "reconstruct"), targets)

    def d_loss(self, d: Tree, g: Tree, batch: Batch, key: jax.Array) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """-Σ_i L_adv_i + λ_cls Σ_i L_cls_i on real images."""
        make_key, mix_key = jax.random.split(key)
        made = self.make(g, batch, make_key)
        fakes = jax.lax.stop_gradient(made.images)
        epsilon = shard_batch(jax.random.uniform(mix_key, (len(batch["image"]),)), self.mesh)
        loss, gap, slope, wrong = jnp.zeros(()), jnp.zeros(()), jnp.zeros(()), jnp.zeros(())
        for name, fake, values, _, count in self._matches(batch, made, fakes):
            judge = self._judge(name)
            real_scores, logits = judge(d["params"], batch["image"])
            fake_scores, _ = judge(d["params"], fake)
            critic = wasserstein(real_scores, fake_scores)
            penalty = slope_penalty(judge, d["params"], batch["image"], fake, epsilon, self.weights.grad_reduce)
            named = classification(logits, values, count, self.weights.cls_loss)
            loss = loss + critic + self.weights.penalty * penalty + self.weights.classification * named
            gap, slope, wrong = gap - critic, slope + penalty, wrong + named
        return loss, ({"loss_d": loss, "gap": gap, "penalty": slope, "cls_real": wrong}, {})

    def g_loss(self, g: Tree, d: Tree, batch: Batch, key: jax.Array) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """Σ_i L_adv_i + λ_cls Σ_i L_cls_i + λ_cyc (L_ER + Σ_i L_cyc_i)."""
        made = self.make(g, batch, key)
        adversarial, wrong = jnp.zeros(()), jnp.zeros(())
        for name, fake, _, target, count in self._matches(batch, made, made.images):
            scores, logits = self._judge(name)(d["params"], fake)
            adversarial = adversarial - scores.mean()
            wrong = wrong + classification(logits, target, count, self.weights.cls_loss)
        wrong = wrong + self._guard(d, batch, made)
        image, features = self._cycles(g, batch, made)
        loss = adversarial + self.weights.classification * wrong
        loss = loss + self.weights.cycle_image * image + self.weights.cycle_features * features
        metrics = {"loss_g": loss, "cls_fake": wrong, "cycle_image": image, "cycle_features": features}
        return loss, (metrics, {})

    def _matches(self, batch: Batch, made: Made, images: jax.Array) -> list[tuple[str, Any, Any, Any, int]]:
        """(discriminator, fakes, real values, target values, number of values) for each D_i."""
        found = [
            (name, images[i + 1], batch["values"][:, i], made.targets[:, i], self.counts[i])
            for i, name in enumerate(self.active)
        ]
        if self.generator.classes and self.whole:
            content = batch["content"]
            found.append(("content", images[0], content, content, self.generator.classes))
        return found

    def _guard(self, d: Tree, batch: Batch, made: Made) -> jax.Array:
        """Generation: what the content's discriminator says of images that a transformer has changed."""
        if not (self.generator.classes and self.weights.content_guard):
            return jnp.zeros(())
        judge, classes = self._judge("content"), self.generator.classes
        each = [
            classification(judge(d["params"], fake)[1], batch["content"], classes, self.weights.cls_loss)
            for fake in made.images[1:]
        ]
        return jnp.stack(each).sum()

    def _cycles(self, g: Tree, batch: Batch, made: Made) -> tuple[jax.Array, jax.Array]:
        """L1 of images through R(E(.)), and of features through E(R(.)), summed over transformers. No stopped
        gradients: R and E learn from both."""
        generates = bool(self.generator.classes)
        if generates and not self.weights.cyclic_encoder:
            return jnp.zeros(()), jnp.zeros(())
        first = 0 if generates else 1  # what the source makes must look like something the encoder makes, too
        image = jnp.zeros(())
        if self.whole and self.weights.cycle_image:
            back = made.images[0]
            if generates:
                back = self._g(g, self._g(g, batch["image"], method="encode"), method="reconstruct")
            image = l1(back, batch["image"])
        if not self.weights.cycle_features:
            return image, jnp.zeros(())
        again = self._each(g, list(made.images[first:]), "encode")
        pairs = zip(made.features[first:], again, strict=True)
        return image, jnp.stack([l1(f, e) for f, e in pairs]).sum()

    def _g(self, g: Tree, *args: Any, method: str) -> Any:
        return self.generator.apply(g, *args, method=method)

    def _each(self, g: Tree, inputs: list[jax.Array], method: str) -> jax.Array:
        """One call over a list of batches, samples of one image next to each other so that shards stay whole."""
        stacked = jnp.stack(inputs, 1)
        out = self._g(g, shard_batch(stacked.reshape(-1, *stacked.shape[2:]), self.mesh), method=method)
        return jnp.moveaxis(out.reshape(*stacked.shape[:2], *out.shape[1:]), 1, 0)

    def _judge(self, name: str) -> Callable[[Tree, jax.Array], tuple[jax.Array, jax.Array]]:
        return lambda params, x: self.discriminator.apply({"params": params}, name, x, method="judge")
