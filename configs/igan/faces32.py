"""Turns the DCGAN that ships with ganx (faces, 32 pixels) into one whose filters own parts of the face, on a CPU."""

from ganx.igan.config import igan_config, stabilise


def get_config():
    """16 groups at 8 x 8, the stabilised rules; a fresh discriminator, as the bundled GAN comes without one."""
    config = stabilise(igan_config())
    config.init = "faces32"
    config.data.source = "world:faces?size=32"
    config.model.discriminator = {"width": 32, "norm": False}
    config.batch = 16
    config.steps = 4000
    config.g.lr = config.d.lr = 1e-3
    config.r1.gamma, config.r1.every = 0.5, 8
    config.ema_kimg = 2.0
    config.igan.groups = 16
    config.igan.every = 8
    config.igan.lambda3.unit, config.igan.lambda3.horizon = "update", 10.0
    config.igan.updates = 200
    config.igan.recover = 500
    config.igan.latents = 32
    config.igan.reset_d = True
    config.sample_every = config.checkpoint_every = 1000
    return config
