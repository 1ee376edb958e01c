"""StarGAN, narrow, on the faces world at 32 pixels: the baseline of faces32.py."""

from ganx.modulargan.config import modular_config


def get_config():
    """The same width, blocks and budget as the ModularGAN it is compared with."""
    config = modular_config()
    config.modulargan.system = "stargan"
    config.data.source = "world:faces?size=32"
    config.modulargan.attributes = "hair,smile,glasses"
    config.modulargan.cls_loss = "bce_sum"
    config.model.family = "stargan"
    with config.unlocked():
        config.model.generator = {"width": 16, "blocks": 2}
        config.model.discriminator = {"width": 16}
    config.steps = 20_000
    config.sample_every = config.checkpoint_every = 1000
    return config
