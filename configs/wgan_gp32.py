"""WGAN-GP (Gulrajani et al. 2017) with five critic steps, on the digits world at 32 pixels."""

from ganx.training import default_config


def get_config():
    """See ganx.training.default_config for what each value means."""
    config = default_config()
    config.data.source = "world:digits?size=32"
    config.model.generator = {"width": 32}
    config.model.discriminator = {"width": 32, "norm": False}
    config.loss = "wasserstein"
    config.gradient_penalty.weight = 10.0
    config.d_steps = 5
    config.g.lr = config.d.lr = 1e-4
    config.g.b1 = config.d.b1 = 0.0
    config.g.b2 = config.d.b2 = 0.9
    config.steps = 10_000
    return config
