"""A small StyleGAN2 at 32 pixels, on the faces world: an evening on a laptop, minutes on a GPU."""

from ganx.training import default_config


def get_config():
    """The paper's losses with narrow networks and a short mapping."""
    config = default_config()
    config.data.source = "world:faces?size=32"
    config.model.family = "stylegan2"
    networks = {"channel_base": 1024, "channel_max": 64}
    config.model.generator = {**networks, "latent": 64, "style": 64, "mapping_layers": 4}
    config.model.discriminator = networks
    config.batch = 16
    config.steps = 20_000
    config.share_fakes = False
    config.r1.gamma = 0.5
    config.path_length.weight = 2.0
    config.style_mixing = 0.9
    for net in (config.g, config.d):
        net.lr, net.b1, net.b2 = 2e-3, 0.0, 0.99
    config.ema_kimg = 2.0
    config.sample_every = config.checkpoint_every = 1000
    return config
