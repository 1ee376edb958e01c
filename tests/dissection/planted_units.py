"""A generator whose causes are known: units that paint, units that only go along, units of noise (dissection §14 A)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Gan, Spec

CLASSES = ("sky", "building", "tree", "door")
COLOURS = np.array([(0.2, 0.5, 0.9), (0.7, 0.4, 0.3), (0.1, 0.6, 0.2), (0.9, 0.9, 0.1)], np.float32)
GRID, UNITS, SIDE = 8, 24, 64
DRIVE = {"building": [0, 1, 2], "tree": [3, 4, 5, 6], "door": [7, 8, 9]}
INERT = {"tree": [10, 11], "door": [12]}
NOISE = list(range(15, 24))


def amplitudes(inert: float = 1.0):
    table = np.zeros((4, UNITS), np.float32)
    table[1, :3] = 1, 1.2, 0.8
    table[2, 3:7] = 1, 0.9, 1.1, 0.7
    table[3, 7:10] = 1
    table[2, 10:12] = inert
    table[3, 12] = 1.5 * inert
    return table


def layout(z):
    """Which classes a cell has, bool `[n, 8, 8, 4]`; doors lie on buildings."""
    u = jax.scipy.stats.norm.cdf(z[:, :7])[..., None, None]
    y, x = jnp.mgrid[:GRID, :GRID]
    left, wide = jnp.floor(1 + 3 * u[:, 0]), jnp.floor(2 + 2 * u[:, 1])
    top = jnp.floor(1 + 4 * u[:, 2])
    building = (x >= left) & (x < left + wide) & (y >= top)
    beside = left + wide
    tree = (x >= beside) & (x < beside + 2) & (y >= jnp.floor(3 + 3 * u[:, 4])) & (u[:, 3] < 0.6)
    door = (x == left + jnp.floor(u[:, 6] * wide)) & (y >= 6) & (u[:, 5] < 0.6)
    return jnp.stack([~(building | tree), building, tree, door], -1)


ARTEFACTS = [13, 14]
MAGENTA = np.array((1.0, 0.0, 1.0), np.float32)


@dataclasses.dataclass(frozen=True)
class Planted:
    """Stages `cells` and `rgb`; nothing is learned. With `artefacts` two units draw blots into a third of them."""

    inert: float = 1.0
    side: int = SIDE
    artefacts: bool = False

    def apply(self, variables, *args, method, **conditions):
        if method == "begin":
            return args[0], {}
        (name,), features, context = args
        return (self.cells(features) if name == "cells" else self.paint(features)), context

    def cells(self, z):
        noise = 0.15 * z[:, 7:].reshape(-1, GRID, GRID, UNITS)
        on = layout(z).astype(jnp.float32) @ amplitudes(self.inert)
        if self.artefacts:
            blot = (z[:, 7] > 0.4)[:, None, None] & (np.mgrid[:GRID, :GRID].max(0) < 3)
            on = on.at[..., ARTEFACTS].add(2 * blot[..., None])
        return on + noise

    def paint(self, r):
        b, t, d = (r[..., DRIVE[name]].sum(-1) for name in ("building", "tree", "door"))
        door = 6 * (d - 1.5) + 3 - 20 * jax.nn.relu(1 - b)
        logits = jnp.stack([jnp.zeros_like(b), 4 * (b - 1.5), 4 * (t - 1.8), door], -1)
        colours = jax.nn.softmax(2 * logits) @ COLOURS
        if self.artefacts:
            share = jax.nn.sigmoid(8 * (r[..., ARTEFACTS].sum(-1, keepdims=True) - 2))
            colours = (1 - share) * colours + share * MAGENTA
        return jnp.repeat(jnp.repeat(2 * colours - 1, self.side // GRID, 1), self.side // GRID, 2)


def planted(inert=1.0, side=SIDE, artefacts=False):
    shapes = ((GRID, GRID, UNITS), (side, side, 3))
    return Gan(
        Planted(inert, side, artefacts),
        {"params": {}},
        Spec("planted", side, 3, (7 + GRID * GRID * UNITS,), "normal", 0, ("cells", "rgb"), shapes),
    )


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Oracle:
    """Softmax over -8 times the squared distance to the class colours."""

    names = ("none", *CLASSES)
    categories = ("object",) * 5
    on_device = True

    def __call__(self, images):
        return self._scores(images).argmax(-1).astype(jnp.int32) + 1

    def probability(self, images, label):
        return jax.nn.softmax(self._scores(images))[..., label - 1]

    def _scores(self, images):
        return -8 * jnp.square((images[..., None, :] + 1) / 2 - COLOURS).sum(-1)
