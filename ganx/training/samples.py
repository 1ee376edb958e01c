"""Sample sheets of a training run."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from ganx.data import Feed
from ganx.training.logs import Journal
from ganx.training.mesh import replicated
from ganx.training.method import Method


class Sampler:
    """Sample sheets: a fixed set of latents through the averaged generator, and once the real images."""

    def __init__(self, method: Method, feed: Feed, config: ConfigDict, mesh: Mesh, journal: Journal):
        self._journal, self._feed = journal, feed
        self._key = jax.random.fold_in(jax.random.key(config.seed), 0x5A)
        self._sample = jax.jit(
            lambda state, key: method.sample(state, key, config.samples), out_shardings=replicated(mesh)
        )
        self._reals = jax.jit(
            lambda constants, batch: feed.materialise(constants, batch)["image"],
            out_shardings=replicated(mesh),
        )
        self._count = config.samples

    def fakes(self, state: Any, step: int) -> None:
        """Writes `samples/fakes-STEP.png`."""
        self._journal.images("fakes", step, np.asarray(self._sample(state, jax.random.clone(self._key))))

    def reals(self) -> None:
        """Writes `samples/reals-0.png`, what the discriminator sees; nothing where data are points."""
        if len(self._feed.source.spec.shape) != 3:
            return
        images = self._reals(self._feed.constants, self._feed.batch(0))
        self._journal.images("reals", 0, np.asarray(images)[: self._count])
