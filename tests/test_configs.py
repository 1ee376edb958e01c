"""Every shipped configuration builds, at no cost."""

from pathlib import Path

import jax
import pytest

from ganx.data.example import SourceSpec
from ganx.training import load_config
from ganx.training.adversarial import adversarial

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_builds_and_a_step_has_the_right_shapes(path):
    config = load_config(path)
    size = 64 if "64" in path.stem else 32
    method = adversarial(config, SourceSpec("npz:x", (size, size, 3), (), {}, (), "", False))
    state = jax.eval_shape(method.init, jax.random.key(0))
    images = jax.ShapeDtypeStruct((method.images, size, size, 3), "float32")
    due = dict.fromkeys(method.lazy, True)
    after, metrics = jax.eval_shape(lambda s, x: method.step(s, {"image": x}, due), state, images)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), after) == jax.tree.map(lambda a: (a.shape, a.dtype), state)
    assert all(value.shape == () for value in metrics.values())
