"""The paper's BigGAN at 64 pixels, step by step as far as it is described; wants an accelerator.

ganx train --config configs/igan/paper_biggan64.py --workdir runs/igan --init runs/biggan
"""

from ganx.igan.config import paper_biggan


def get_config():
    """24 groups at 32 x 32, T = 50, a fresh discriminator; batch and learning rates are ours, as the paper has none."""
    config = paper_biggan()
    config.data.source = "world:faces?size=64"
    config.loss = "hinge"
    config.batch = 64
    config.steps = 20_000
    config.share_fakes = False
    for net, lr in ((config.g, 1e-4), (config.d, 4e-4)):
        net.lr, net.b1, net.b2, net.eps = lr, 0.0, 0.999, 1e-6
    config.ema_kimg = 10.0
    config.igan.recover = 1000
    config.sample_every = config.checkpoint_every = 1000
    return config
