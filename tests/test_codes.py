"""Codes: encode and decode are the generator, batching changes nothing, paths keep their ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx import codes, pictures
from ganx.models import init_gan

DCGAN = ("dcgan", {"resolution": 8, "width": 4, "latent": 6})
STYLEGAN2 = (
    "stylegan2",
    {"resolution": 8, "latent": 8, "style": 8, "mapping_layers": 1, "channel_base": 64, "channel_max": 8},
)


@pytest.fixture(scope="module", params=[DCGAN, STYLEGAN2], ids=["dcgan", "stylegan2"])
def gan(request):
    return init_gan(*request.param, jax.random.key(0))


def test_decoding_a_code_is_running_the_generator(gan):
    z = gan.latents(jax.random.key(1), 3)
    code = codes.encode(gan, z)
    assert code.shape == (3, *codes.code_shape(gan))
    np.testing.assert_array_equal(codes.decode(gan, code), gan(z))


def test_painting_in_batches_changes_nothing(gan):
    code = codes.encode(gan, gan.latents(jax.random.key(1), 35)).reshape(5, 7, *codes.code_shape(gan))
    painted = codes.paint(gan, code)
    assert painted.dtype == np.uint8
    assert painted.shape[:2] == (5, 7)
    whole = pictures.to_uint8(np.asarray(codes.decode(gan, code[2])))
    assert np.abs(painted[2].astype(int) - whole).max() <= 1
    small = codes.paint(gan, code[2], limit=4)
    assert small.shape == (7, 4, 4, 3)
    np.testing.assert_array_equal(small, pictures.shrink(painted[2], 4))


def test_truncation_reaches_styles_only(gan):
    z = gan.latents(jax.random.key(1), 2)
    centre = codes.encode(gan, z, 0.0)
    if codes.style_based(gan):
        np.testing.assert_array_equal(centre[0], centre[1])
    else:
        np.testing.assert_array_equal(centre, z)


def test_paths_start_and_end_where_they_should():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 16)).astype(np.float32)
    for path in (codes.lerp, codes.slerp):
        np.testing.assert_allclose(path(a, b, 0.0), a, atol=1e-6)
        np.testing.assert_allclose(path(a, b, 1.0), b, atol=1e-6)


def test_slerp_keeps_length_and_speed():
    a = jnp.array([3.0, 0.0])
    b = jnp.array([0.0, 3.0])
    path = np.stack([codes.slerp(a, b, t) for t in (0.0, 0.25, 0.5, 0.75, 1.0)])
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 3.0, rtol=1e-6)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-5)


def test_slerp_survives_parallel_codes():
    a = jnp.array([1.0, 2.0])
    np.testing.assert_allclose(codes.slerp(a, 3 * a, 0.5), 2 * a, rtol=1e-5)
