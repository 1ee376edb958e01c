"""The configuration of a ModularGAN, or of a baseline on the same data and in the same loop."""

from __future__ import annotations

from ml_collections import ConfigDict

from ganx.training.config import default_config

SYSTEMS = ("modular", "stargan", "cyclegan", "icgan")


def modular_config() -> ConfigDict:
    """Every knob with the paper's value where it has one: WGAN-GP, batch 16, Adam 1e-4 (0.5, 0.999), five critic
    updates to one of the modules; `steps` counts the latter."""
    config = default_config()
    with config.unlocked():
        config.method = "modulargan"
        config.modulargan = ConfigDict(
            {
                "system": "modular",  # or a baseline: stargan, cyclegan, icgan
                "attributes": "",  # names out of the source's, comma-separated: one module each
                "content": "",  # attribute that a_0 names: with it images are drawn from codes, not translated
                "classification": 1.0,  # weights of the losses
                "cycle_image": 10.0,
                "cycle_features": 10.0,
                "penalty": 10.0,
                "cls_loss": "softmax",  # or bce_sum, as StarGAN's code has it
                "grad_reduce": "sum",  # the penalty is on the slope of the patches' sum (StarGAN's code) or mean
                "targets": "other",  # another value, uniformly, for each sample and attribute; any; permute the batch's
                "schedule": "paper",  # lr falls linearly to 0 over the second half; released (StarGAN); constant
                "content_guard": True,  # a transformer must not change a_0 (generation)
                "cyclic_encoder": True,  # generation keeps an encoder in training, for the cyclic losses
                "average": 0.999,  # decay of the averaged modules, 0 for none
                "train": "",  # parts that are trained, comma-separated, the others frozen; all if empty
            }
        )
        config.model.family = "modular"
    config.batch, config.d_steps, config.steps = 16, 5, 50_000
    config.g.lr = config.d.lr = 1e-4
    config.data.flip = True
    config.samples = 48
    return config
