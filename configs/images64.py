"""A light DCGAN for your own images, at 64 pixels:

ganx train --config configs/images64.py --workdir runs/mine --config.data.source='folder:PHOTOS?size=64'
"""

from ganx.training import default_config


def get_config():
    """No batch norm in D but a lazy R1 penalty: steadier on small sets than the published DCGAN."""
    config = default_config()
    config.data.source = "folder:images?size=64&crop=center-square"
    config.data.flip = True
    config.data.on_error = "skip"
    config.model.generator = {"width": 32}
    config.model.discriminator = {"width": 32, "norm": False}
    config.batch = 32
    config.steps = 20_000
    config.g.lr = 5e-4
    config.d.lr = 5e-4
    config.r1.gamma = 2.0
    config.r1.every = 8
    config.ema_kimg = 5.0
    return config
