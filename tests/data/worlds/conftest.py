"""Renders that several tests look at, drawn once."""

import functools

import jax
import numpy as np
import pytest

from ganx.data.example import Example
from ganx.data.worlds import PictureWorld, world


@functools.cache
def _draw(name: str, size: int, n: int) -> tuple[PictureWorld, Example, np.ndarray]:
    kind = world(name, size=size)
    example = kind.gather(np.arange(n))
    oracle = jax.jit(kind.oracle)
    return kind, example, np.concatenate([oracle(example.image[i : i + 100]) for i in range(0, n, 100)])


@pytest.fixture(scope="session")
def drawn():
    """`drawn(name, size, n)`: a world, its first n examples, and what the oracle makes of them."""
    return _draw
