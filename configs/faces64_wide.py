"""The same at 64 pixels: 96 filters at 32 x 32, and a layer above."""

from ganx.demo import demo_config


def get_config():
    """As `faces32_wide.py`, one doubling more, and narrower for the sake of time."""
    config = demo_config()
    config.data.source = "world:faces?size=64"
    config.model.generator = {"width": 96, "width_max": 128, "extra": 1}
    config.model.discriminator = {"width": 32, "norm": False}
    config.steps = 4000
    config.g.lr = config.d.lr = 5e-4
    return config
