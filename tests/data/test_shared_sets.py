"""Real data, where a developer has them."""

import jax
import numpy as np
import pytest

from ganx.data import open_feed, open_source

SETS = {
    "mnist/mnist.npz?size=32": (60000, (32, 32, 1), 10, 0),
    "mnist/mnist.npz?split=test": (10000, (28, 28, 1), 10, 0),
    "fashion-mnist/fashion_mnist_10k5k.npz": (10000, (28, 28, 1), 10, 0),
    "cifar10-jpeg/cifar10_jpeg_400x10_100x10.zip": (4000, (32, 32, 3), 10, 0),
    "cifar10-jpeg/cifar10_jpeg_400x10_100x10.zip?split=test": (1000, (32, 32, 3), 10, 0),
    "utkface64/utkface64_2500.zip?label=female": (2500, (64, 64, 3), 2, 0),
    "camvid96/camvid96_train_val.zip": (367, (96, 128, 3), 0, 12),
    "camvid96/camvid96_train_val.zip?split=val&ignore=11": (101, (96, 128, 3), 0, 11),
}


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_what_its_readme_says(shared, name):
    source = open_source(f"{shared}/data/{name}")
    length, shape, classes, masks = SETS[name]
    assert (len(source), source.spec.shape) == (length, shape)
    assert (len(source.spec.labels), len(source.spec.masks)) == (classes, masks)
    with open_feed(source, 40, residency="stream") as feed:
        seen = jax.jit(feed.materialise)(feed.constants, feed.batch(0))
    assert seen["image"].shape == (40, *shape)
    assert float(seen["image"].std()) > 0.2
    assert len(set(seen["label"].tolist())) > 1 or not classes


def test_mnist_statistics(shared):
    images = open_source(f"{shared}/data/mnist/mnist.npz").gather(np.arange(60000)).image
    assert images.mean() == pytest.approx(33.317, abs=2e-3)


def test_utkface_attributes(shared):
    attrs = open_source(f"{shared}/data/utkface64/utkface64_2500.zip").gather(np.arange(2500)).attrs
    assert (attrs["age"].min(), attrs["age"].max()) == (1, 110)
    assert np.percentile(attrs["age"], [25, 50, 75]).tolist() == [6, 25, 48]
    assert attrs["female"].mean() == pytest.approx(0.557, abs=1e-3)


def test_camvid_shares(shared):
    zips = f"{shared}/data/camvid96/camvid96_train_val.zip"
    masks = np.concatenate(
        [(s := open_source(f"{zips}?split={split}")).gather(np.arange(len(s))).mask for split in ("train", "val")]
    )
    shares = np.bincount(masks.reshape(-1), minlength=12) / masks.size * 100
    np.testing.assert_allclose(shares, [15.2, 23.8, 0.9, 31.1, 5.4, 11.2, 1.1, 1.6, 5.0, 0.6, 0.7, 3.5], atol=0.06)
