"""CycleGAN on the pairs of smile and glasses of the faces world at 32 pixels, narrow."""

from ganx.modulargan.config import modular_config


def get_config():
    """Adam 2e-4; the published batch is 1, here 16 so that every batch has images of both values."""
    config = modular_config()
    config.modulargan.system = "cyclegan"
    config.data.source = "world:faces?size=32"
    config.modulargan.attributes = "smile,glasses"
    config.model.family = "cyclegan"
    with config.unlocked():
        config.model.generator = {"width": 16, "blocks": 2}
        config.model.discriminator = {"width": 16}
    config.d_steps, config.steps = 1, 20_000
    config.g.lr = config.d.lr = 2e-4
    config.sample_every = config.checkpoint_every = 1000
    return config
