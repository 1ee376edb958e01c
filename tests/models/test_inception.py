"""InceptionV3 of 2015: the public file's tensors in, the reference's numbers out."""

import json

import jax
import numpy as np
import pytest

from ganx import GanxError
from ganx.convert.inception_torch import inception
from ganx.convert.keymap import Source
from ganx.metrics.presets import prepare, preset
from ganx.models.inception import paths


def weights(keys):
    """The goldens' recipe: seeded tensors under the public file's names, in the order of the sorted names."""
    random = np.random.RandomState(1234)
    draw = {
        "bn.running_var": lambda s: random.uniform(0.5, 1.5, s),
        "bn.running_mean": lambda s: random.uniform(-0.2, 0.2, s),
        "bn.weight": lambda s: random.uniform(0.8, 1.2, s),
        "bn.bias": lambda s: random.uniform(-0.1, 0.1, s),
        "fc.bias": lambda s: random.uniform(-0.1, 0.1, s),
        "fc.weight": lambda s: random.uniform(-1, 1, s) * np.sqrt(3 / s[1]),
        "conv.weight": lambda s: random.uniform(-1, 1, s) * np.sqrt(6 / np.prod(s[1:])),
    }
    kind = {name: next(k for k in draw if name.endswith(k)) for name, _ in keys}
    return {name: draw[kind[name]](tuple(shape)).astype(np.float32) for name, shape in sorted(keys)}


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "goldens" / "metrics"
    return json.loads((folder / "metrics.json").read_text()), np.load(folder / "metrics.npz")


@pytest.fixture(scope="module")
def tensors(golden):
    return weights(golden[0]["inception_keys"])


def test_there_are_94_convolutions():
    assert len(paths()) == len(set(paths())) == 94


def test_features_equal_the_reference(golden, tensors):
    assert len(tensors) == 472
    assert sum(t.size for t in tensors.values()) == 23_885_392
    counters = {f"{'.'.join(path)}.bn.num_batches_tracked": np.array(7) for path in paths()}
    module, variables = inception(Source({**tensors, **counters}))
    images = prepare(golden[1]["resize_in"], preset("tf"), 299)
    with jax.default_matmul_precision("highest"):
        found = jax.jit(module.apply)(variables, images)
    for name in ("64", "192", "768", "2048", "logits_unbiased", "logits"):
        want = golden[1][f"inc_{name}"]
        error = np.abs(found[name] - want).max() / np.abs(want).max()
        assert error < 1e-5, f"{name}: {error:.1e}"


def test_missing_and_unexpected_tensors_are_named(tensors):
    without = {k: v for k, v in tensors.items() if k != "Mixed_6c.branch7x7_2.bn.weight"}
    with pytest.raises(GanxError, match=r"missing: Mixed_6c\.branch7x7_2\.bn\.weight; unexpected: AuxLogits\.fc"):
        inception(Source({**without, "AuxLogits.fc": np.zeros(3)}))
    with pytest.raises(GanxError, match=r"there is no tensor 'Conv2d_1a_3x3\.conv\.weight'"):
        inception(Source({"fc.weight": np.zeros(3)}))
