"""StarGAN on the same data: its paper's schedule; --config.modulargan.schedule=released for what its code does."""

from ganx.modulargan.config import modular_config


def get_config():
    """200k critic updates of 16 images, labels permuted within the batch, binary cross-entropy on every logit."""
    config = modular_config()
    config.modulargan.system = "stargan"
    attrs = "hair(Black_Hair,Blond_Hair,Brown_Hair),Male,Smiling"
    config.data.source = f"celeba:celeba?size=128&crop=178&filter=bilinear&attrs={attrs}"
    config.modulargan.attributes = "hair,Male,Smiling"
    config.modulargan.targets = "permute"
    config.modulargan.cls_loss = "bce_sum"
    config.modulargan.average = 0.0
    config.model.family = "stargan"
    config.steps = 40_000
    config.sample_every = config.checkpoint_every = 1000
    return config
