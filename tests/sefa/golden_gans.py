"""The reference generators behind the goldens."""

import numpy as np

from ganx.convert import pggan_genforce, stylegan2_genforce, stylegan_genforce
from ganx.convert.keymap import Source, fill
from ganx.models import make_gan

LAYOUTS = {"stylegan2": stylegan2_genforce, "stylegan": stylegan_genforce, "pggan": pggan_genforce}


def open_golden(shared, family):
    """The arrays of a golden, and its generator."""
    arrays = dict(np.load(shared / "goldens/sefa" / f"{family}_small.npz"))
    source = Source({name[2:]: array for name, array in arrays.items() if name.startswith("G/")})
    network = fill(LAYOUTS[family].generator(source, ""), source.tensors)
    return arrays, make_gan(family, network.module, network.variables)
