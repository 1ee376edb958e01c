"""Configurations of interpretability training: `config.igan`, beside all that adversarial training has."""

from __future__ import annotations

import dataclasses

from ml_collections import ConfigDict

from ganx.igan.rules import PARTS
from ganx.training.config import default_config


def igan_config() -> ConfigDict:
    """Every knob, with the paper's values where it gives any (those of BigGAN) and what sections 5 and 6 leave open."""
    config = default_config()
    with config.unlocked():
        config.igan = {
            "stage": "",  # where to cut the generator; "" for the last layer of the paper's size
            "rectify": False,  # put a ReLU after that stage: needed where its features can be negative
            "groups": 24,  # C
            "every": 50,  # T: GAN steps for each update
            "updates": 0,  # no more than so many updates; 0 for no such limit
            "recover": 0,  # GAN steps before the first update
            "settle": 0,  # so many of the steps, the last ones, are the GAN's alone (ours)
            "reset_d": False,  # start with a fresh discriminator, as the paper does for BigGAN
            "smooth": 0.0,  # groups and energy see features blurred by so many positions (ours)
            "hybrids": 0.0,  # so many of the images that D sees have groups of two (ours)
            "latents": 0,  # N of the energy and of Langevin sampling; 0 for config.batch
            **{name: dataclasses.asdict(kind()) for name, kind in PARTS.items()},
        }
    config.method = "igan"  # the module ganx.igan.method
    return config


def paper_biggan() -> ConfigDict:
    """The paper's BigGAN as far as it is described: 24 groups, T = 50, the discriminator trained from scratch."""
    config = igan_config()
    config.model.family = "biggan"
    config.igan.partition.normalize = "none"
    config.igan.rectify = True  # block outputs are sums: the paper says nothing of BigGAN here
    config.igan.reset_d = True
    return config


def paper_stylegan() -> ConfigDict:
    """The paper's StyleGAN as far as it is described: 24 groups, T = 100, G and D trained jointly, a ReLU inserted."""
    config = igan_config()
    config.model.family = "stylegan"
    config.igan.partition.normalize = "none"
    config.igan.rectify = True
    config.igan.every = 100
    config.igan.lambda3.horizon = 1000.0
    config.igan.guidance.lambda2 = 0.05
    return config


def stabilise(config: ConfigDict) -> ConfigDict:
    """The switches that make groups of filters part while the GAN stays one (ours; configs/igan/README.md)."""
    igan = config.igan
    igan.smooth = 1.0
    igan.energy.normalize, igan.energy.reduce = "direction", "mean"
    igan.guidance.joint, igan.guidance.clip, igan.guidance.lambda2 = True, 1.0, 10.0
    igan.partition.normalize, igan.partition.freeze = "rms", False
    igan.weights.mle_limit = 0.5
    igan.langevin.clip_score, igan.langevin.steps = 50.0, 4
    igan.lambda3.unit, igan.lambda3.horizon = "update", 10.0
    return config
