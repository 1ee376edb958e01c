"""StyleGAN2 at 64 pixels with every regulariser of the paper; wants an accelerator."""

from ganx.training import default_config


def get_config():
    """Karras et al. 2020: logistic loss, R1 every 16, path length every 4, style mixing 0.9."""
    config = default_config()
    config.data.source = "world:faces?size=64"
    config.model.family = "stylegan2"
    config.model.generator = {"channel_base": 16384, "channel_max": 512, "latent": 512, "style": 512}
    config.model.discriminator = {"channel_base": 16384, "channel_max": 512}
    config.batch = 32
    config.steps = 100_000
    config.share_fakes = False
    config.r1.gamma = 1.0
    config.path_length.weight = 2.0
    config.style_mixing = 0.9
    for net in (config.g, config.d):
        net.lr, net.b1, net.b2 = 2e-3, 0.0, 0.99
    config.ema_kimg = 10.0
    config.steps_per_call = 1
    config.sample_every = config.checkpoint_every = 2000
    config.log_every = 50
    return config
