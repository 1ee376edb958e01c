"""E-GAN on 25 Gaussians; as on 8."""

from ganx.egan import add_egan
from ganx.training import default_config


def get_config():
    """Theano release, toys/train_toy_25G.py, but for gamma."""
    config = default_config()
    config.data.source = "world:gaussians?modes=25"
    config.model.family = "mlp"
    config.model.generator = {"width": 512}
    config.model.discriminator = {"width": 512}
    config.batch = 64
    config.g.lr = config.d.lr = 1e-4
    config.d.b1 = 0.0
    config.steps = 50_000
    config.log_every = 100
    config.sample_every = config.checkpoint_every = 5000
    config.steps_per_call = 100
    return add_egan(config, evaluation=256, gamma=0.01)
