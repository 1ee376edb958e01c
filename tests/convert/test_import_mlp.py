"""A public GAN of linear layers draws what PyTorch draws."""

import numpy as np
import pytest

from ganx.convert import import_checkpoint

FOLDER = "data/mnist-mlp-gan"


@pytest.mark.parametrize("name", ["G--300.ckpt", "generator.npz"])
def test_the_digits_match_torch(shared, name):
    found = import_checkpoint(shared / FOLDER / name, discriminator=shared / FOLDER / "discriminator.npz")
    spec = found.gan.spec
    assert (spec.family, spec.resolution, spec.channels, spec.latent, spec.prior) == ("mlp", 28, 1, (64,), "normal")
    with np.load(shared / FOLDER / "reference_io.npz") as file:
        images = found.gan(file["z"])
        np.testing.assert_allclose(images[..., 0], file["image"], rtol=0, atol=2e-6)
    module, variables = found.discriminator
    logits = module.apply(variables, images)
    assert (1 / (1 + np.exp(-np.asarray(logits)))).mean() == pytest.approx(0.3, abs=0.05)
