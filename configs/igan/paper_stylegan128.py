"""The paper's StyleGAN at 128 pixels, step by step as far as it is described; wants an accelerator.

ganx train --config configs/igan/paper_stylegan128.py --workdir runs/igan --init runs/stylegan
"""

from ganx.igan.config import paper_stylegan


def get_config():
    """24 groups at 32 x 32, T = 100, G and D tuned jointly; batch and learning rates are those StyleGAN trains with."""
    config = paper_stylegan()
    config.data.source = "world:faces?size=128"
    config.batch = 32
    config.steps = 20_000
    config.share_fakes = False
    config.r1.gamma = 10.0
    config.style_mixing = 0.9
    for net in (config.g, config.d):
        net.lr, net.b1, net.b2 = 1e-3, 0.0, 0.99
    config.ema_kimg = 10.0
    config.igan.recover = 1000
    config.sample_every = config.checkpoint_every = 1000
    return config
