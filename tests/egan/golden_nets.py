"""The tiny networks of the reference numbers, as plain functions: G 2-4-4-2, D 2-5-4-1 with or without a batch norm."""

import dataclasses

import jax.numpy as jnp
from jax.nn import relu

from ganx.training.players import Verdict


@dataclasses.dataclass(frozen=True)
class GoldenPlayers:
    """What `ganx.training.players.Players` offers; "latents" are the `z` given, whatever the key."""

    z: tuple  # [n, 2] to vary with and to be judged by
    epsilon: float | None
    mesh: None = None
    classes: int = 0

    def fakes(self, params, stats, key, n, label=None):
        x = next(z for z in self.z if len(z) == n)
        x = relu(x @ params["w0"] + params["b0"])
        x = relu(x @ params["w1"] + params["b1"])
        return x @ params["w2"] + params["b2"], stats

    def judge(self, params, stats, x, label=None, look=None):
        x = relu(x @ params["w0"] + params["b0"])
        x = x @ params["w1"]
        if self.epsilon is None:
            x = x + params["b1"]
        else:
            x = (x - x.mean(0)) / jnp.sqrt(x.var(0) + self.epsilon) * params["scale"] + params["bias"]
        logits = relu(x) @ params["w2"] + params["b2"]
        return Verdict(logits[:, 0], stats, 0.0)

    def critic(self, stats, label=None, look=None):
        return lambda params, x: self.judge(params, stats, x).logits


def generator(file, parent):
    """Parameters, in the order in which the reference flattens them."""
    return {name: jnp.asarray(file[f"g{parent}_{name}"]) for name in ("w0", "b0", "w1", "b1", "w2", "b2")}


def discriminator(file, batch_norm):
    """Likewise; with a batch norm the second layer has no bias."""
    names = ("w0", "b0", "w1", *(() if batch_norm else ("b1",)), "w2", "b2")
    params = {name: jnp.asarray(file[f"d_{name}"]) for name in names}
    if batch_norm:
        params |= {"scale": jnp.asarray(file["bn_scale"]), "bias": jnp.asarray(file["bn_bias"])}
    return params


def flat(params, order):
    """All of a tree's numbers, leaves in the given order."""
    return jnp.concatenate([params[name].ravel() for name in order])
