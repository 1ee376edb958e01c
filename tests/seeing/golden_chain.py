"""The goldens' small Progressive generator as parts that compute in float64, which ganx's own module does not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Activation
from ganx.models import layers

LAYERS = tuple(f"layer{i}" for i in range(1, 9))


def hwio(weight, dtype=np.float64):
    """A PyTorch kernel as ours."""
    return jnp.asarray(weight.astype(dtype).transpose(2, 3, 1, 0))


def nhwc(x):
    return jnp.asarray(x.transpose(0, 2, 3, 1))


@jax.tree_util.register_pytree_node_class
@dataclasses.dataclass
class GoldenChain:
    """`layer1` to `layer4` are cuts; weights are float64 (kernel times gain, bias) by layer."""

    weights: dict
    cuts: tuple = LAYERS[:4]

    def tree_flatten(self):
        return (self.weights,), self.cuts

    @classmethod
    def tree_unflatten(cls, cuts, children):
        return cls(children[0], cuts)

    def start(self, z, label=None):
        return Activation(z[:, None, None], {}, "")

    def step(self, i, act):
        return Activation(self.layer(self.cuts[i], act.features), {}, self.cuts[i])

    def paint(self, act):
        x = act.features
        for name in self.weights:
            x = x if name in self.cuts or name == "rgb" else self.layer(name, x)
        kernel, bias = self.weights["rgb"]
        return layers.conv(layers.pixel_norm(x), kernel) + bias

    def layer(self, name, x):
        kernel, bias = self.weights[name]
        x = layers.pixel_norm(x)
        if name == "layer1":
            x = layers.conv(x, kernel, 1, 3)
        else:
            x = layers.conv(x.repeat(2, 1).repeat(2, 2) if name in ("layer3", "layer5", "layer7") else x, kernel)
        return layers.lrelu(x + bias, 1.0)


def golden_chain(arrays):
    weights = {}
    for name in (*LAYERS, "output_32x32"):
        kernel = arrays[f"G|{name}.conv.weight"].astype(np.float64)
        gain = (1.0 if name.startswith("output") else np.sqrt(2)) / np.sqrt(np.prod(kernel.shape[1:]))
        bias = jnp.asarray(arrays[f"G|{name}.wscale.b"].astype(np.float64))
        weights["rgb" if name.startswith("output") else name] = (hwio(kernel * gain), bias)
    return GoldenChain(weights)


def random_chain(rng):
    """Three layers and an image of 8 x 8 pixels, cut after the first two."""
    shapes = {"layer1": (4, 4, 4, 4), "layer2": (3, 3, 4, 4), "layer3": (3, 3, 4, 4), "rgb": (1, 1, 4, 3)}
    weights = {
        k: (jnp.asarray(rng.normal(size=s)) / np.sqrt(np.prod(s[:3])), jnp.zeros(s[3])) for k, s in shapes.items()
    }
    return GoldenChain(weights, ("layer1", "layer2"))
