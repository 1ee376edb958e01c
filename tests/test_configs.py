"""Every shipped configuration builds, at no cost."""

from pathlib import Path

import jax
import pytest

from ganx.data.example import SourceSpec
from ganx.training import load_config
from ganx.training.adversarial import adversarial
from ganx.training.method import Span, find_method

ROOT = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(path for path in ROOT.rglob("*.py") if path.parent.name != "modulargan")  # these need attributes


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_builds_and_a_step_has_the_right_shapes(path):
    config = load_config(path)
    size = next((n for n in (256, 128, 64) if path.stem.endswith(str(n))), 32)
    labels = tuple("0123456789") if config.model.conditional else ()
    shape = (2,) if config.data.source.startswith("world:gaussians") else (size, size, 3)
    data = SourceSpec("npz:x", shape, labels)
    plain = config.method == "adversarial"
    spans = [Span(adversarial(config, data))] if plain else find_method(config.method)(config, data)
    state = jax.eval_shape(spans[0].method.init, jax.random.key(0))
    for method in (span.method for span in spans):
        images = jax.ShapeDtypeStruct((method.images, *shape), "float32")
        batch = {"image": images, "label": jax.ShapeDtypeStruct((method.images,), "int32")}
        due = dict.fromkeys(method.lazy, True)
        after, metrics = jax.eval_shape(lambda s, b, m=method, due=due: m.step(s, b, due), state, batch)
        assert jax.tree.map(lambda a: (a.shape, a.dtype), after) == jax.tree.map(lambda a: (a.shape, a.dtype), state)
        assert all(value.shape == () for value in metrics.values())
