"""A small BigGAN-deep at 32 pixels, on the digits world and its ten classes: an evening on a laptop."""

from ganx.training import default_config


def get_config():
    """The parts of the paper, narrow: bottleneck blocks, all of z in every norm, shared class vectors, hinge loss."""
    config = default_config()
    config.data.source = "world:digits?size=32&label=number"
    config.model.family = "biggan_deep"
    config.model.conditional = True
    shared = {"width": 16, "attention": 16}
    config.model.generator = {**shared, "latent": 64, "embed": 32}
    config.model.discriminator = shared
    config.loss = "hinge"
    config.batch = 32
    config.steps = 20_000
    config.share_fakes = False
    for net, lr in ((config.g, 1e-4), (config.d, 4e-4)):
        net.lr, net.b1, net.b2, net.eps = lr, 0.0, 0.999, 1e-6
    config.ema_kimg = 10.0
    config.ema_start = 1000
    config.sample_every = config.checkpoint_every = 1000
    return config
