"""A tiny training run: 64 random pictures of 8 x 8 and a DCGAN of a few hundred weights."""

import numpy as np
import pytest

from ganx.training import default_config


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """An npz source of 64 smooth 8 x 8 colour pictures."""
    rng = np.random.default_rng(0)
    images = np.repeat(np.repeat(rng.integers(0, 256, (64, 2, 2, 3)), 4, 1), 4, 2).astype(np.uint8)
    path = tmp_path_factory.mktemp("data") / "pictures.npz"
    np.savez(path, images=images, labels=np.arange(64) % 3)
    return f"npz:{path}"


@pytest.fixture
def tiny(pictures):
    """A configuration that trains in seconds, lazy penalty included."""
    config = default_config()
    config.data.source = pictures
    config.data.flip = True
    config.model.generator = {"width": 4, "latent": 4}
    config.model.discriminator = {"width": 4}
    config.batch = 8
    config.steps = 6
    config.r1.gamma = 1.0
    config.r1.every = 2
    config.log_every = 1
    config.sample_every = 0
    config.samples = 4
    config.checkpoint_every = 2
    return config
