"""The paper's face experiment: CelebA at 128 pixels, hair colour, gender and smile.

Set --config.data.source to the folder of img_align_celeba and list_attr_celeba.txt, options kept.
"""

from ganx.modulargan.config import modular_config


def get_config():
    """Batch 16, five critic updates a step, 20 epochs, the learning rate falling over the last ten."""
    config = modular_config()
    attrs = "hair(Black_Hair,Blond_Hair,Brown_Hair),Male,Smiling"
    config.data.source = f"celeba:celeba?size=128&crop=178&filter=bilinear&attrs={attrs}"
    config.modulargan.attributes = "hair,Male,Smiling"
    config.steps = 50_000
    config.sample_every = config.checkpoint_every = 1000
    return config
