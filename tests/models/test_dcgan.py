"""DCGAN: published shapes and names, and its training mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ganx
from ganx.models import build_discriminator, build_generator, dcgan, describe, family, module_fields, module_from_fields


@pytest.mark.parametrize(("resolution", "channels"), [(32, 256), (64, 512), (128, 1024)])
def test_stages_are_named_and_shaped_as_published(resolution, channels):
    module = dcgan.generator(resolution)
    variables = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 100)))
    spec = describe("dcgan", module, variables)
    names = ("s0", "s1", "s2", "s3", "s4")[: len(spec.stages) - 1]
    assert spec.stages == (*names, "rgb")
    assert spec.shapes[0] == (4, 4, channels)
    assert spec.shapes[-2] == (resolution // 2, resolution // 2, 64)
    assert spec.shapes[-1] == (resolution, resolution, 3)
    judge = build_discriminator("dcgan", {"resolution": resolution})
    images = jnp.zeros((2, resolution, resolution, 3))
    logits = jax.eval_shape(lambda x: judge.init_with_output(jax.random.key(0), x)[0], images)
    assert logits.shape == (2,)


def test_widths_can_be_bounded_and_layers_added_before_the_image():
    module = dcgan.generator(32, width=8, width_max=16, extra=2)
    variables = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 100)))
    spec = describe("dcgan", module, variables)
    assert spec.stages == ("s0", "s1", "s2", "s3", "s4", "rgb")
    assert spec.shapes == ((4, 4, 16), (8, 8, 16), (16, 16, 8), (16, 16, 8), (16, 16, 8), (32, 32, 3))
    assert [block.features for block in dcgan.generator(32, width=8, width_first=4).blocks] == [4, 16, 8, 3]


def test_initialisation_is_the_published_one():
    module = dcgan.generator(32, width=32)
    params = module.init(jax.random.key(0), jnp.zeros((1, 100)))["params"]
    assert float(params["s0"]["kernel"].std()) == pytest.approx(0.02, rel=0.05)
    assert float(params["s0"]["norm"]["scale"].mean()) == pytest.approx(1.0, abs=0.02)
    assert float(params["s0"]["norm"]["scale"].std()) == pytest.approx(0.02, rel=0.3)


def test_training_normalises_by_the_batch_and_remembers_it():
    """Batch statistics while training; stored ones move a tenth of the way, as PyTorch's do."""
    module = dcgan.generator(8, width=4, latent=4)
    z = jax.random.normal(jax.random.key(0), (16, 4))
    variables = module.init(jax.random.key(1), z)
    norm = variables["params"]["s0"]["norm"]
    raw = np.einsum("nl,hwlc->nhwc", z, variables["params"]["s0"]["kernel"][::-1, ::-1])
    (features, _), new = module.apply(variables, ("s0",), z, {}, True, method="run", mutable=["batch_stats"])
    normal = (raw - raw.mean((0, 1, 2))) / np.sqrt(raw.var((0, 1, 2)) + 1e-5)
    np.testing.assert_allclose(features, np.maximum(normal * norm["scale"] + norm["bias"], 0), atol=1e-5)
    stored = new["batch_stats"]["s0"]["norm"]
    np.testing.assert_allclose(stored["mean"], 0.1 * raw.mean((0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(stored["var"], 0.9 + 0.1 * raw.var((0, 1, 2), ddof=1), atol=1e-6)


def test_a_module_is_rebuilt_from_its_fields():
    for part in ("generator", "discriminator"):
        module = getattr(family("dcgan"), part)(resolution=16, width=4)
        assert module_from_fields("dcgan", part, module_fields(module)) == module


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"resolution": 48}, "power of two"),
        ({"resolution": 4}, "power of two"),
        ({"widht": 3}, "did you mean 'width'"),
        ({"width": "3"}, "of type int"),
    ],
)
def test_bad_options_are_one_line(options, words):
    with pytest.raises(ganx.GanxError, match=words):
        build_generator("dcgan", options)
