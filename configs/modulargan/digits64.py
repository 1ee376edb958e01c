"""ColorMNIST as the digits world: images from codes and a digit, with modules for colour, style and background."""

from ganx.modulargan.config import modular_config


def get_config():
    """The paper's networks; its generation task."""
    config = modular_config()
    config.data.source = "world:digits?size=64"
    config.data.flip = False  # a mirrored digit is another sign
    config.modulargan.attributes = "colour,style,background"
    config.modulargan.content = "number"
    config.sample_every = config.checkpoint_every = 1000
    return config
