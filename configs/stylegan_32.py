"""A small StyleGAN grown from 8 to 32 pixels on the faces world: an evening on a laptop, minutes on a GPU."""

from ganx.training import default_config
from ganx.training.growing import add_growing, config_schedule


def get_config():
    """The published losses with narrow networks, and a tenth of the images in each phase."""
    config = default_config()
    config.data.source = "world:faces?size=32"
    config.model.family = "stylegan"
    networks = {"channel_base": 1024, "channel_max": 64}
    config.model.generator = {**networks, "latent": 64, "style": 64, "mapping_layers": 4}
    config.model.discriminator = networks
    config.batch = 16
    config.share_fakes = False
    config.r1.gamma, config.r1.every = 10.0, 1
    config.style_mixing = 0.9
    for net in (config.g, config.d):
        net.lr, net.b1, net.b2 = 1e-3, 0.0, 0.99
    add_growing(config, first=8, fade_kimg=60.0, stable_kimg=60.0, batch=((8, 32),))
    config.steps = config_schedule(config, 32).steps(600)
    config.ema_kimg = 10.0
    config.sample_every = config.checkpoint_every = 1000
    return config
