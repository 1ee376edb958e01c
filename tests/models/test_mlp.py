"""The MLP family: points and small images in the same stages."""

import jax
import jax.numpy as jnp

from ganx.models import build_discriminator, init_discriminator, init_gan


def test_points_are_pictures_of_one_pixel():
    gan = init_gan("mlp", {"width": 8, "depth": 2}, jax.random.key(0))
    z = gan.latents(jax.random.key(1), 5)
    assert gan.spec.shapes == ((1, 1, 8), (1, 1, 8), (1, 1, 2))
    assert (gan.since("fc1", gan.until("fc1", z)) == gan(z)).all()


def test_images_end_in_a_tanh():
    gan = init_gan("mlp", {"width": 8, "resolution": 4, "channels": 1, "std": 3.0}, jax.random.key(0))
    images = gan(gan.latents(jax.random.key(1), 3))
    assert images.shape == (3, 4, 4, 1)
    assert jnp.abs(images).max() <= 1


def test_the_discriminator_takes_points_either_way():
    module = build_discriminator("mlp", {"width": 8})
    variables = init_discriminator(module, jax.random.key(0), (2,))
    points = jax.random.normal(jax.random.key(1), (6, 2))
    assert (module.apply(variables, points) == module.apply(variables, points[:, None, None])).all()
    assert "bias" in variables["params"]["fc0"]
    assert "bias" not in variables["params"]["fc1"]  # its batch norm has one
