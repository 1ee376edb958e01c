"""The planted generator, dissected once."""

import jax
import pytest
from planted_units import Oracle, planted

from ganx.dissection import Samples, dissect


@pytest.fixture(scope="session")
def gan():
    return planted()


@pytest.fixture(scope="session")
def oracle():
    return Oracle()


@pytest.fixture(scope="session")
def samples(gan, oracle):
    return Samples(gan, "cells", oracle, jax.random.key(0), 64)


@pytest.fixture(scope="session")
def found(gan, oracle):
    return dissect(gan, "cells", oracle, 64, 0.05, key=jax.random.key(0), topk=5)
