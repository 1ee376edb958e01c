"""StyleGAN2-ADA on FFHQ at 256 pixels, the paper's own setting; the same for any set of faces:

ganx train --config configs/stylegan2ada_ffhq256.py --workdir runs/ffhq --config.data.source='folder:FFHQ?size=256'
"""

from ganx.training import default_config


def get_config():
    """Karras et al. 2020b, "paper256": half of the channels, R1 1, 25 million images; wants accelerators."""
    config = default_config()
    config.data.source = "folder:ffhq?size=256"
    config.data.flip = True
    config.model.family = "stylegan2"
    networks = {"channel_base": 16384, "channel_max": 512, "half_res": 4, "conv_clamp": 256.0}
    config.model.generator = networks
    config.model.discriminator = {**networks, "group": 8}
    config.batch = 64
    config.steps = 390_625  # 25,000 kimg
    config.share_fakes = False
    config.augment.policy = "bgc"
    config.r1.gamma = 1.0
    config.path_length.weight = 2.0
    config.style_mixing = 0.9
    for net in (config.g, config.d):
        net.lr, net.b1, net.b2 = 2.5e-3, 0.0, 0.99
    config.clean_gradients = True
    config.ema_kimg = 20.0
    config.ema_buffers = "copy"
    config.log_every = 50
    config.sample_every = config.checkpoint_every = 3000
    return config
