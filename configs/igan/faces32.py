"""Turns a GAN of faces into one whose filters own parts of the face; about an hour on two CPU cores with the GAN.

ganx train --config configs/faces32_wide.py --workdir runs/wide
ganx train --config configs/igan/faces32.py --init runs/wide --workdir runs/concepts
"""

from ganx.igan.config import igan_config, stabilise


def get_config():
    """16 groups of the 128 filters at 16 x 16, the stabilised rules; half of the steps are the GAN's alone."""
    config = stabilise(igan_config())
    config.data.source = "world:faces?size=32"
    config.model.generator = {"width": 128, "width_max": 256, "extra": 1}
    config.model.discriminator = {"width": 48, "norm": False}
    config.batch = 16
    config.steps = 6400
    config.g.lr = config.d.lr = 5e-4
    config.r1.gamma, config.r1.every = 0.5, 8
    config.ema_kimg = 2.0
    config.igan.groups = 16
    config.igan.every = 16
    config.igan.recover = 10
    config.igan.settle = 3200
    config.igan.partition.images, config.igan.partition.batch = 128, 64
    config.sample_every = config.checkpoint_every = 800
    return config
