"""The published DCGAN at 64 pixels, on the faces world; set data.source for your own images."""

from ganx.training import default_config


def get_config():
    """Radford et al. 2016 as in PyTorch's example: batch norm in both networks, Adam 2e-4 and 0.5."""
    config = default_config()
    config.data.source = "world:faces?size=64"
    config.steps = 20_000
    config.ema_kimg = 5.0
    return config
