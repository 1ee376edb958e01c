"""A small DCGAN on landscapes of 32 pixels in which nobody ever stands: a GAN whose omission is known."""

from ganx.demo import demo_config


def get_config():
    """Of the demo's kind; houses and fences, whose parts are thinner than two pixels here, are left out for everyone.

    Its first map has a sixth of the picture's numbers: few enough for an inversion of the layers after it to tell what
    the GAN never learned (Bau et al. 2019 cut theirs at the same ratio).
    """
    config = demo_config()
    config.data.source = "world:scenes?size=32&freq=house:0,fence:0&drop=person"
    config.model.generator = {"width": 48, "width_first": 32}
    config.model.discriminator = {"width": 32, "norm": False}
    config.steps = 8000
    config.g.lr = config.d.lr = 5e-4
    return config
