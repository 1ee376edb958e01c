"""E-GAN on the digits world at 32 pixels, with networks that two CPU cores can train; two parents."""

from ganx.egan import add_egan
from ganx.training import default_config


def get_config():
    """The paper's networks at a quarter of their width."""
    config = default_config()
    config.data.source = "world:digits?size=32"
    config.model.family = "egan"
    config.model.generator = {"width": 32}
    config.model.discriminator = {"width": 32}
    config.batch = 32
    config.d_steps = 2
    config.steps = 10_000
    config.log_every = 50
    return add_egan(config, parents=2, evaluation=64)
