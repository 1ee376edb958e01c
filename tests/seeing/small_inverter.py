"""Inverses that compile and train in a moment."""

import functools

import jax

from ganx.models.encoders import ImageInverse
from ganx.models.initialise import initialise
from ganx.seeing.inverter import Inverter, init, modules_for
from ganx.seeing.training import train_step


class FlatInverse(ImageInverse):
    """e_f as one product for each place of the map, from the pixels that it covers."""

    def trunk(self, x, train=False):
        side = self.shape[0]
        return [x.reshape(len(x), side, x.shape[1] // side, side, -1).swapaxes(2, 3).reshape(len(x), side, side, -1)]


def small_inverter(chain, hidden=0):
    """Fresh inverses with that e_f."""
    modules = (*modules_for(chain, 4, hidden)[:-1], FlatInverse(tuple(chain.shapes[-1])))
    found = initialise(lambda key: init(modules, chain, key), jax.random.key(0))
    return Inverter(modules, tuple({"batch_stats": {}, **variables} for variables in found))


@functools.partial(jax.jit, static_argnums=(1, 4, 5))
def step(chain, modules, state, z, stage, options):
    """One step of their training on codes `z`."""
    return train_step(chain, modules, state, z, None, stage, options)
