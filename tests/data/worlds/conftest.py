"""Renders that several tests look at, drawn once."""

import functools

import numpy as np
import pytest

from ganx.data.example import Example
from ganx.data.worlds import PictureWorld, world


@functools.cache
def _draw(name: str, size: int) -> tuple[PictureWorld, Example, np.ndarray]:
    kind = world(name, size=size)
    example = kind.gather(np.arange(256))
    return kind, example, np.asarray(kind.oracle(example.image))


@pytest.fixture(scope="session")
def drawn():
    """`drawn(name, size)`: a world, its first 256 examples, and what the oracle makes of them."""
    return _draw
