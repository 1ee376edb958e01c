"""A StyleGAN2 of 32-pixel faces made for being taken apart: the whole picture passes through each layer.

ganx train --config configs/stylegan2_faces32.py --workdir runs/style
"""

from ganx.training import default_config


def get_config():
    """No sum of images beside the layers ("orig"), 96 filters at 16 x 16."""
    config = default_config()
    config.data.source = "world:faces?size=32"
    config.model.family = "stylegan2"
    config.model.generator = {
        "latent": 64,
        "style": 64,
        "mapping_layers": 4,
        "architecture": "orig",
        "widths": (64, 64, 96, 32),
    }
    config.model.discriminator = {"channel_base": 1024, "channel_max": 64}
    config.batch = 16
    config.steps = 10_000
    config.share_fakes = False
    config.r1.gamma = 0.5
    config.path_length.weight = 2.0
    config.style_mixing = 0.9
    for net in (config.g, config.d):
        net.lr, net.b1, net.b2 = 2e-3, 0.0, 0.99
    config.ema_kimg = 2.0
    config.sample_every = config.checkpoint_every = 1000
    return config
