"""Turns a StyleGAN2 of faces into one whose filters own parts of the face, by the rules of faces32.py.

ganx train --config configs/stylegan2_faces32.py --workdir runs/style
ganx train --config configs/igan/stylegan2_faces32.py --init runs/style --workdir runs/style-concepts
"""

from ganx.igan.config import igan_config, stabilise


def get_config():
    """16 groups of the filters at 16 x 16, with a ReLU after them and some steps to get used to it.

    The networks are those of the GAN that it starts from.
    """
    config = stabilise(igan_config())
    config.data.source = "world:faces?size=32"
    config.model.family = "stylegan2"
    config.batch = 16
    config.steps = 6400
    config.share_fakes = False
    config.r1.gamma = 0.5
    config.style_mixing = 0.9
    for net in (config.g, config.d):
        net.lr, net.b1, net.b2 = 1e-3, 0.0, 0.99
    config.ema_kimg = 2.0
    config.igan.stage, config.igan.rectify = "layer4", True
    config.igan.groups = 16
    config.igan.every = 16
    config.igan.recover = 200
    config.igan.settle = 3200
    config.igan.partition.images, config.igan.partition.batch = 128, 64
    config.sample_every = config.checkpoint_every = 800
    return config
