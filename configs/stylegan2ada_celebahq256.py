"""StyleGAN2-ADA on CelebA-HQ at 256 pixels, as the authors trained the net that they publish for transfer:

ganx train --config configs/stylegan2ada_celebahq256.py --workdir runs/celebahq \
    --config.data.source='folder:CELEBA-HQ?size=256'
"""

from ganx.training import default_config


def get_config():
    """Karras et al. 2020b, "paper256" for a set of 30,000: 100 million images, ADA's target 0.5; wants accelerators."""
    config = default_config()
    config.data.source = "folder:celeba-hq?size=256"
    config.data.flip = True
    config.model.family = "stylegan2"
    networks = {"channel_base": 16384, "channel_max": 512, "half_res": 4, "conv_clamp": 256.0}
    config.model.generator = networks
    config.model.discriminator = {**networks, "group": 8}
    config.batch = 64
    config.steps = 1_562_500  # 100,000 kimg
    config.share_fakes = False
    config.augment.policy = "bgc"
    config.augment.target = 0.5
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
