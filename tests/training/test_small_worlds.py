"""The small configuration of every family trains on its world, as it is shipped but for length, batch and width."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import ganx
from ganx.store import load_discriminator
from ganx.training import load_config
from ganx.training.loop import train
from ganx.training.mesh import make_mesh

CONFIGS = Path(__file__).parents[2] / "configs"
NARROW = {"channel_base": 256, "channel_max": 8, "width": 8}
SMALL = {
    "dcgan": "faces32",
    "pggan": "pggan_32",
    "stylegan": "stylegan_32",
    "stylegan2": "stylegan2_32",
    "stylegan2 with ada": "stylegan2ada_32",
    "biggan": "biggan_32",
    "biggan_deep": "biggan_deep_32",
}


@pytest.mark.parametrize("family", SMALL)
def test_a_few_steps(family, tmp_path):
    config = load_config(CONFIGS / f"{SMALL[family]}.py")
    assert config.model.family == family.split()[0]
    assert config.data.source.startswith("world:")
    config.batch, config.steps, config.log_every, config.samples = 4, 3, 1, 4
    config.sample_every, config.checkpoint_every, config.score.every = 0, 3, 0
    for options in (config.model.generator, config.model.discriminator):  # narrow nets compile much faster
        options.update({name: value for name, value in NARROW.items() if name in options})
    if "growing" in config:  # one step at half the size, one of the fade, one at full size
        config.growing.first, config.growing.batch = 16, ()
        config.growing.fade_kimg = config.growing.stable_kimg = 0.004
    train(config, tmp_path, make_mesh(jax.devices()[:1]))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all(np.isfinite(value) for line in lines for value in line.values())
    assert all(line["grad_g"] > 0 and line["grad_d"] > 0 for line in lines)
    if "growing" in config:
        assert [line["lod"] for line in lines] == [1.0, 1.0, 0.0]
    if config.augment.policy:
        assert all("augment_p" in line for line in lines)
    gan = ganx.load(tmp_path)
    images = gan(gan.latents(jax.random.key(0), 2), label=gan.labels(jax.random.key(1), 2))
    assert images.shape == (2, 32, 32, 3)
    assert gan.spec.family == config.model.family
    assert bool(gan.spec.classes) == config.model.conditional
    discriminator, variables = load_discriminator(tmp_path)
    label = gan.labels(jax.random.key(2), 2)
    assert np.isfinite(discriminator.apply(variables, images, **({} if label is None else {"label": label}))).all()
