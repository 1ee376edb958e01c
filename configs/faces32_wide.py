"""A DCGAN on faces of 32 pixels to start interpretability training from: 128 filters at 16 x 16, and a layer above."""

from ganx.demo import demo_config


def get_config():
    """Wide, for groups cannot part that share one filter; with a layer above, to make a part of what a group says."""
    config = demo_config()
    config.model.generator = {"width": 128, "width_max": 256, "extra": 1}
    config.model.discriminator = {"width": 48, "norm": False}
    config.steps = 16_000
    config.g.lr = config.d.lr = 5e-4
    return config
