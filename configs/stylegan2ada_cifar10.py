"""Class-conditional StyleGAN2-ADA on CIFAR-10, the paper's own setting; set data.source to where the set is."""

from ganx.training import default_config


def get_config():
    """Karras et al. 2020b, "cifar": a plain D, no style mixing, no path length, 100 million images."""
    config = default_config()
    config.data.source = "tfds:cifar10"
    config.model.family = "stylegan2"
    config.model.conditional = True
    networks = {"half_res": 4, "conv_clamp": 256.0}
    config.model.generator = {**networks, "mapping_layers": 2}
    config.model.discriminator = {**networks, "architecture": "orig", "group": 32}
    config.batch = 64
    config.steps = 1_562_500  # 100,000 kimg
    config.share_fakes = False
    config.augment.policy = "bgc"
    config.r1.gamma = 0.01
    for net in (config.g, config.d):
        net.lr, net.b1, net.b2 = 2.5e-3, 0.0, 0.99
    config.clean_gradients = True
    config.ema_kimg = 500.0
    config.ema_rampup = 0.05
    config.ema_buffers = "copy"
    config.log_every = 50
    config.sample_every = config.checkpoint_every = 5000
    return config
