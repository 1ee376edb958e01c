"""The paper's own rules, as literally as they are stated, on the GAN of faces32.py, to be compared with ours.

ganx train --config configs/faces32_wide.py --workdir runs/wide
ganx train --config configs/igan/faces32_paper.py --init runs/wide --workdir runs/paper
"""

from ganx.igan.config import paper_biggan


def get_config():
    """BigGAN's settings with 16 groups, and the networks of the GAN that it starts from, its discriminator too.

    Chains are clipped, which the paper does not mention: without it they run away, and the second update is infinite.
    """
    config = paper_biggan()
    config.data.source = "world:faces?size=32"
    config.model.family = "dcgan"
    config.batch = 16
    config.steps = 6400
    config.g.lr = config.d.lr = 5e-4
    config.r1.gamma, config.r1.every = 0.5, 8
    config.ema_kimg = 2.0
    config.igan.groups = 16
    config.igan.rectify, config.igan.reset_d = False, False
    config.igan.langevin.clip_score = 50.0
    config.igan.partition.images, config.igan.partition.batch = 128, 64
    config.sample_every = config.checkpoint_every = 800
    return config
