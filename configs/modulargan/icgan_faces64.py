"""IcGAN on the faces world at its own 64 pixels."""

from ganx.modulargan.config import modular_config


def get_config():
    """The published networks; one Adam of 2e-4 for the GAN and the encoders, batch 64."""
    config = modular_config()
    config.modulargan.system = "icgan"
    config.data.source = "world:faces?size=64"
    config.modulargan.attributes = "hair,smile,glasses"
    config.modulargan.average = 0.0
    config.modulargan.schedule = "constant"
    config.model.family = "icgan"
    config.batch, config.d_steps, config.steps = 64, 1, 20_000
    config.g.lr = config.d.lr = 2e-4
    config.sample_every = config.checkpoint_every = 1000
    return config
