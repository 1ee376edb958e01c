"""A DCGAN on the faces world at 32 pixels: what `ganx demo` trains, in a few minutes on two CPU cores."""

from ganx.training import default_config


def get_config():
    """See ganx.training.default_config for what each value means."""
    config = default_config()
    config.data.source = "world:faces?size=32"
    config.model.generator = {"width": 32}
    config.model.discriminator = {"width": 32}
    return config
