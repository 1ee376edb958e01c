"""E-GAN on LSUN bedrooms at 64 pixels: give the data with --config.data.source=lsun:PATH?size=64."""

from ganx.egan import add_egan
from ganx.training import default_config


def get_config():
    """Theano release, bedroom/train_bedroom_64.py; its beta 0.001 is our gamma 0.002."""
    config = default_config()
    config.data.source = "lsun:bedroom?size=64"
    config.data.flip = True
    config.model.family = "egan"
    config.model.generator = {"width": 128}
    config.model.discriminator = {"width": 128}
    config.batch = 32
    config.d_steps = 3
    config.steps = 190_000
    config.log_every = 100
    config.sample_every = config.checkpoint_every = 2000
    return add_egan(config, evaluation=96, gamma=0.002)
