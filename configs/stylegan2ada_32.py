"""A small class-conditional StyleGAN2-ADA at 32 pixels, on the digits world: an evening on a laptop."""

from ganx.training import default_config


def get_config():
    """The settings of "cifar" with narrow networks, a projection discriminator and the style mixing of the paper."""
    config = default_config()
    config.data.source = "world:digits?size=32&label=number"
    config.model.family = "stylegan2"
    config.model.conditional = True
    networks = {"channel_base": 1024, "channel_max": 64, "conv_clamp": 256.0}
    config.model.generator = {**networks, "latent": 64, "style": 64, "mapping_layers": 2}
    config.model.discriminator = {**networks, "cmap_layers": 2}
    config.batch = 16
    config.steps = 20_000
    config.share_fakes = False
    config.augment.policy = "bgc"
    config.r1.gamma = 0.5
    config.style_mixing = 0.9
    for net in (config.g, config.d):
        net.lr, net.b1, net.b2 = 2.5e-3, 0.0, 0.99
    config.ema_kimg = 2.0
    config.ema_rampup = 0.05
    config.sample_every = config.checkpoint_every = 1000
    return config
