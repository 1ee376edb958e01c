"""What ModularGAN and its baselines build alike: attributes, the alternation, first states, examples."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ganx.data import open_source
from ganx.data.example import SourceSpec
from ganx.data.feed import to_float
from ganx.errors import unknown
from ganx.models import init_discriminator, init_generator
from ganx.modulargan.duel import Duel, DuelState, adam


def attributes_of(config: ConfigDict, data: SourceSpec) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The attributes that modules are made for, with their values' names."""
    names = [name.strip() for name in config.modulargan.attributes.split(",") if name.strip()]
    for name in names or [""]:
        if name not in data.attrs:
            raise unknown("attribute for modulargan.attributes", name, data.attrs)
    return tuple((name, data.attrs[name]) for name in names)


def make_duel(config: ConfigDict, g_loss: Any, d_loss: Any, g_train: Any = None, d_train: Any = None) -> Duel:
    """The alternation that a configuration describes."""
    options = config.modulargan
    return Duel(
        g_loss=g_loss,
        d_loss=d_loss,
        g_opt=adam(config.g, options.schedule, config.steps, 1),
        d_opt=adam(config.d, options.schedule, config.steps, config.d_steps),
        batch=config.batch,
        d_steps=config.d_steps,
        decay=options.average,
        g_train=g_train,
        d_train=d_train,
    )


def start_state(duel: Duel, generator: Any, discriminator: Any, shape: tuple[int, ...], key: jax.Array) -> DuelState:
    """Fresh networks and optimisers."""
    g_key, d_key, run_key = jax.random.split(key, 3)
    return duel.init(run_key, init_generator(generator, g_key), init_discriminator(discriminator, d_key, shape, 1))


def example_images(data: SourceSpec, n: int) -> np.ndarray:
    """The first images of a source, float32 `[n, H, W, C]` in [-1, 1]: what sample sheets translate."""
    return np.asarray(to_float(jnp.asarray(open_source(data.name).gather(np.arange(n)).image)))
