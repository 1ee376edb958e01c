"""Modular GANs of a few hundred weights on random pictures with attributes."""

import jax
import pytest

from ganx.data.example import SourceSpec
from ganx.models import init_gan
from ganx.modulargan.config import modular_config

ATTRIBUTES = (("hair", ("black", "blond", "brown")), ("smile", ("no", "yes")), ("glasses", ("no", "yes")))
TINY = {"resolution": 16, "width": 2, "blocks": 1, "attributes": ATTRIBUTES}


@pytest.fixture(scope="session")
def gan():
    return init_gan("modular", TINY, jax.random.key(0))


@pytest.fixture(scope="session")
def images():
    return jax.random.uniform(jax.random.key(1), (4, 16, 16, 3), minval=-1.0)


@pytest.fixture(scope="session")
def spec():
    return SourceSpec("world:faces?size=16", (16, 16, 3), attrs=dict(ATTRIBUTES))


@pytest.fixture(scope="session")
def small():
    """Configurations that train in seconds: a critic update of sixteen images, then one of the modules."""

    def config_of(attributes):
        config = modular_config()
        config.data.source = "world:faces?size=16"
        config.modulargan.attributes = attributes
        with config.unlocked():
            config.model.generator = {"width": 2, "blocks": 1}
            config.model.discriminator = {"width": 2, "depth": 1}
        config.batch, config.d_steps, config.steps, config.samples = 16, 1, 4, 4
        return config

    return config_of


@pytest.fixture
def config(small):
    return small("hair,smile")


@pytest.fixture(scope="session")
def batch():
    """One step's examples, a label missing here and there."""
    keys = jax.random.split(jax.random.key(2), 4)
    attrs = {
        name: jax.random.randint(key, (16,), 0, len(values)).at[3].set(-1)
        for key, (name, values) in zip(keys[1:], ATTRIBUTES, strict=True)
    }
    return {"image": jax.random.uniform(keys[0], (16, 16, 16, 3), minval=-1.0), "attrs": attrs}
