"""BigGAN on CIFAR-10: one GPU, a day or two."""

from ganx.training import default_config


def get_config():
    """BigGAN-PyTorch's launch_cifar_ema.sh: batch 50, four D updates a step, no shared class vectors, N(0, 0.02)."""
    config = default_config()
    config.data.source = "tfds:cifar10"
    config.model.family = "biggan"
    config.model.conditional = True
    shared = {"width": 64, "attention": 0, "spectral_epsilon": 1e-8, "weight_init": "normal"}
    config.model.generator = {**shared, "latent": 128, "hierarchical": False, "embed": 0}
    config.model.discriminator = shared
    config.loss = "hinge"
    config.batch = 50
    config.d_steps = 4
    config.steps = 125_000
    config.share_fakes = False
    for net in (config.g, config.d):
        net.lr, net.b1, net.b2 = 2e-4, 0.0, 0.999
    config.ema_kimg = 346.6  # 0.9999 a step
    config.ema_start = 1000
    config.sample_every = config.checkpoint_every = 1000
    return config
