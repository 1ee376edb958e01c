"""Real faces of 64 pixels, UTKFace: gender, and age in four ranges.

Set --config.data.source to a zip or a folder with a table of `age` and `female`, options kept.
"""

from ganx.modulargan.config import modular_config


def get_config():
    """Half of the paper's width and of its residual blocks: the set has a few thousand pictures."""
    config = modular_config()
    config.data.source = "folder:utkface64?size=64&attrs=age(0-12,13-29,30-49,50+),female"
    config.modulargan.attributes = "age,female"
    with config.unlocked():
        config.model.generator = {"width": 32, "blocks": 3}
        config.model.discriminator = {"width": 32}
    config.steps = 20_000
    config.sample_every = config.checkpoint_every = 1000
    return config
