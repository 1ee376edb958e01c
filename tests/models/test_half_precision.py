"""What half precision costs: the largest error of 16 images, which the families' docstrings state.

Fresh networks of 32 pixels, their batch statistics taken from 64 samples; errors are relative to the largest value.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.models import build_generator, init_generator, make_gan
from ganx.models.initialise import initialise

WIDE = {"channel_base": 2048, "channel_max": 64, "latent": 64, "style": 64}
BIG = {"width": 16, "attention": 16, "classes": 10, "latent": 64, "embed": 32}
NETS = {
    "biggan": ("biggan", BIG, {"dtype": "bfloat16"}, 0.045),
    "biggan_deep": ("biggan_deep", BIG, {"dtype": "bfloat16"}, 0.08),
    "stylegan2": ("stylegan2", WIDE, {"dtype": "bfloat16"}, 0.03),
    "stylegan2, 2 resolutions": ("stylegan2", WIDE, {"half_res": 2}, 0.03),
    "stylegan2, 2 resolutions, float16": ("stylegan2", WIDE, {"half_res": 2, "half_dtype": "float16"}, 0.004),
    "stylegan3-t": ("stylegan3", {**WIDE, "layers": 6}, {"dtype": "bfloat16"}, 0.03),
    "stylegan3-r": ("stylegan3", {**WIDE, "layers": 6, "kernel": 1, "radial": True}, {"dtype": "bfloat16"}, 0.03),
}


def settled(module, variables, label):
    """The variables with the statistics of 64 samples."""
    if "batch_stats" not in variables:
        return variables
    z = jax.random.normal(jax.random.key(3), (64, *module.latent_shape()))
    moving = [name for name in variables if name != "params"]
    step = jax.jit(lambda v: {**v, **module.apply(v, z, train=True, mutable=moving, **label)[1]})
    for _ in range(2):  # the first for spectral norms, which are estimates that sharpen
        before, variables = variables["batch_stats"], step(variables)
    running = variables["batch_stats"]  # nine tenths of what was there: the batch's own are ten steps ahead
    return {**variables, "batch_stats": jax.tree.map(lambda old, new: old + 10 * (new - old), before, running)}


@pytest.mark.parametrize("net", NETS)
def test_half_precision_stays_close(net):
    family, fields, half, bound = NETS[net]
    module = build_generator(family, {"resolution": 32, **fields})
    label = {"label": jnp.arange(64) % 10} if "classes" in fields else {}
    variables = settled(module, initialise(lambda key: init_generator(module, key), jax.random.key(0)), label)
    z = jax.random.normal(jax.random.key(1), (16, *module.latent_shape()))
    label = {name: value[:16] for name, value in label.items()}
    exact, rough = (
        jax.jit(lambda gan, z: gan(z, **label))(make_gan(family, module.clone(**changes), variables), z)
        for changes in ({}, half)
    )
    assert rough.dtype == exact.dtype == jnp.float32
    error = np.abs(rough - exact) / np.abs(exact).max()
    assert 1e-5 < error.max() < bound, (error.max(), error.mean())
