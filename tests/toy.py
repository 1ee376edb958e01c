"""A conditional family small enough to compile in a moment: two dense layers each way."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models.family import Family
from ganx.models.staged import StagedGenerator, no_more_conditions


class ToyGenerator(StagedGenerator):
    resolution: int = 8
    channels: int = 3
    latent: int = 3
    classes: int = 0
    dtype: str = "float32"

    @property
    def prior(self):
        return "normal"

    def setup(self):
        self.s0 = nn.Dense(64)
        self.rgb = nn.Dense(self.resolution**2 * self.channels)

    def stage_names(self):
        return ("s0", "rgb")

    def latent_shape(self):
        return (self.latent,)

    def begin(self, z, label=None, **conditions):
        no_more_conditions("toy", "label", conditions)
        if label is None:
            assert not self.classes
            return z, {}
        return jnp.concatenate([z, jax.nn.one_hot(label, self.classes)], -1), {}

    def run_stage(self, name, features, context, train):
        x = getattr(self, name)(features.reshape(len(features), -1))
        if name == "s0":
            return nn.relu(x).reshape(len(x), 4, 4, 4), context
        return jnp.tanh(x).reshape(len(x), self.resolution, self.resolution, self.channels), context

    def style_matrices(self):
        return {"s0": self.variables["params"]["s0"]["kernel"][: self.latent].T}


class ToyDiscriminator(nn.Module):
    classes: int = 0
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x, train=False, label=None):
        seen = self.variable("batch_stats", "seen", jnp.zeros, ())
        if train and not self.is_initializing():
            seen.value = seen.value + 1.0
        h = nn.tanh(nn.Dense(16, name="fc")(x.reshape(len(x), -1)))
        logits = nn.Dense(1, name="out")(h)[:, 0]
        if self.classes:
            table = self.param("embed", nn.initializers.normal(1.0), (self.classes, 16))
            logits = logits + (table[label] * h).sum(-1)
        return logits


def generator(resolution=8, **fields):
    return ToyGenerator(resolution, **fields)


def discriminator(resolution=8, **fields):
    return ToyDiscriminator(**fields)


FAMILY = Family("toy", ToyGenerator, ToyDiscriminator, generator, discriminator)
