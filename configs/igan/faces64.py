"""Turns a GAN of 64-pixel faces into one whose filters own parts of the face.

ganx train --config configs/faces64_wide.py --workdir runs/wide64
ganx train --config configs/igan/faces64.py --init runs/wide64 --workdir runs/concepts64
"""

from ganx.igan.config import igan_config, stabilise


def get_config():
    """16 groups of the 96 filters at 32 x 32; three quarters of the steps for 32 pixels."""
    config = stabilise(igan_config())
    config.data.source = "world:faces?size=64"
    config.model.generator = {"width": 96, "width_max": 128, "extra": 1}
    config.model.discriminator = {"width": 32, "norm": False}
    config.batch = 16
    config.steps = 3600
    config.g.lr = config.d.lr = 5e-4
    config.r1.gamma, config.r1.every = 0.5, 8
    config.ema_kimg = 2.0
    config.igan.groups = 16
    config.igan.every = 16
    config.igan.recover = 10
    config.igan.settle = 300
    config.igan.partition.images, config.igan.partition.batch = 128, 64
    config.sample_every = config.checkpoint_every = 800
    return config
