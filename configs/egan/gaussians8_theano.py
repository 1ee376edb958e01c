"""What the Theano release really runs on 8 Gaussians: gamma 2, each mutation from the best child so far."""

from ganx.egan import add_egan, theano
from ganx.training import default_config


def get_config():
    """The parent and the survivor are one list there, so that mutations follow one another."""
    config = default_config()
    config.data.source = "world:gaussians?modes=8"
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
    return theano(add_egan(config, evaluation=256), beta=1.0)
