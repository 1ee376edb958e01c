"""The published PGGAN at 256 pixels for a category of LSUN, such as bedrooms: 12 million images, days on eight GPUs.

ganx train --config configs/pggan_lsun256.py --workdir runs/bedroom --config.data.source='lsun:bedroom_train_lmdb?…'
"""

from ganx.training import default_config
from ganx.training.growing import add_growing, config_schedule


def get_config():
    """Karras et al. 2018, appendix A.1, with the batches and learning rates of the authors' preset for eight GPUs.

    The authors average weights by 0.999 a step; here the half-life is given in images, what that is at batch 32.
    """
    config = default_config()
    config.data.source = "lsun:bedroom_train_lmdb?size=256&crop=center-square"
    config.model.family = "pggan"
    config.model.discriminator = {"halving": "mean_first"}  # as the authors' fused convolutions do
    config.loss = "wasserstein"
    config.gradient_penalty.weight = 10.0
    config.drift = 0.001
    config.share_fakes = False
    config.batch = 32
    for net in (config.g, config.d):
        net.lr, net.b1, net.b2, net.eps = 1e-3, 0.0, 0.99, 1e-8
    add_growing(
        config,
        batch=((4, 512), (8, 256), (16, 128), (32, 64), (64, 32)),
        lr=((128, 1.5e-3), (256, 2e-3)),
    )
    config.steps = config_schedule(config, 256).steps(12_000)
    config.ema_kimg = 22.2
    config.sample_every = config.checkpoint_every = 5000
    return config
