"""BigGAN on ImageNet at 128 pixels, as published: a batch of 2,048, for a TPU slice or a node of large GPUs."""

from ganx.training import default_config


def get_config():
    """Brock et al. 2019, as BigGAN-PyTorch's launch_BigGAN_bs256x8.sh has it: 256 images eight times over, hinge loss.

    Batch norm is over all devices, a part of 256 at a time.
    """
    config = default_config()
    config.data.source = "tfds:imagenet2012?crop=center-square&size=128"
    config.model.family = "biggan"
    config.model.conditional = True
    norms = {"spectral_epsilon": 1e-6}
    config.model.generator = {"width": 96, "latent": 120, "embed": 128, "attention": 64, **norms}
    config.model.discriminator = {"width": 96, "attention": 64, **norms}
    config.loss = "hinge"
    config.batch = 2048
    config.accumulate = 8
    config.steps = 150_000
    config.share_fakes = False
    for net, lr in ((config.g, 1e-4), (config.d, 4e-4)):
        net.lr, net.b1, net.b2, net.eps = lr, 0.0, 0.999, 1e-6
    config.ema_kimg = 14_195.0  # 0.9999 a step
    config.ema_start = 20_000
    config.sample_every = config.checkpoint_every = 1000
    return config
