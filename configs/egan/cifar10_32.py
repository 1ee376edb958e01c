"""E-GAN on CIFAR-10 at 32 pixels: give the folder with --config.data.source=cifar:PATH."""

from ganx.egan import add_egan
from ganx.training import default_config


def get_config():
    """scripts/train_egan_cifar10.sh of the PyTorch release; n_D 3, batch 32, gamma 0.01."""
    config = default_config()
    config.data.source = "cifar:cifar-10-batches-py"
    config.data.flip = True
    config.model.family = "egan"
    config.model.generator = {"width": 128}
    config.model.discriminator = {"width": 128}
    config.batch = 32
    config.d_steps = 3
    config.steps = 104_000
    config.log_every = 100
    config.sample_every = config.checkpoint_every = 2000
    return add_egan(config, evaluation=256, gamma=0.01)
