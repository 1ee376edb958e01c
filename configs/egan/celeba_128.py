"""E-GAN on CelebA at 128 pixels: give the data with --config.data.source=celeba:PATH?size=128."""

from ganx.egan import add_egan
from ganx.training import default_config


def get_config():
    """Theano release, CelebA script; its beta 0.001 is our gamma 0.002."""
    config = default_config()
    config.data.source = "celeba:celeba?size=128"
    config.data.flip = True
    config.model.family = "egan"
    config.model.generator = {"width": 64}
    config.model.discriminator = {"width": 64}
    config.batch = 32
    config.d_steps = 3
    config.steps = 53_000
    config.log_every = 100
    config.sample_every = config.checkpoint_every = 2000
    return add_egan(config, evaluation=96, gamma=0.002)
