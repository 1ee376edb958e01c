"""A narrow ModularGAN on the faces world at 32 pixels: hair colour, smile, glasses."""

from ganx.modulargan.config import modular_config


def get_config():
    """A quarter of the paper's width, two residual blocks a transformer."""
    config = modular_config()
    config.data.source = "world:faces?size=32"
    config.modulargan.attributes = "hair,smile,glasses"
    with config.unlocked():
        config.model.generator = {"width": 16, "blocks": 2}
        config.model.discriminator = {"width": 16}
    config.steps = 20_000
    config.sample_every = config.checkpoint_every = 1000
    return config
