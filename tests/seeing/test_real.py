"""Real data and a real GAN with a known fault."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.convert import import_checkpoint
from ganx.data import open_source
from ganx.seeing import Moments, compare, fsd, tally
from ganx.seeing.chain import cut
from ganx.seeing.evaluate import GATE
from ganx.seeing.gather import images
from ganx.seeing.losses import correlation
from ganx.seeing.measure import measure, of_masks
from ganx.seeing.methods import InvertOptions, draw, invert
from ganx.seeing.sensitivity import self_check
from ganx.training.mesh import make_mesh


def street(shared, split, count):
    path = shared / "data" / "camvid96" / "camvid96_train_val.zip"
    names = "sky,building,pole,road,pavement,tree,sign,fence,car,pedestrian,bicyclist,void"
    return measure(of_masks(open_source(f"zip:{path}?split={split}&masks={names}")), count, 101)


def test_street_scenes_have_the_areas_that_were_published(shared):
    """Shares of all pixels as counted in the data's own description, over train and val."""
    train, val = street(shared, "train", 367), street(shared, "val", 101)
    areas = dict(zip(train.names, train.moments().merge(val.moments()).mean(), strict=True))
    for name, percent in {"road": 31.1, "building": 23.8, "sky": 15.2, "tree": 11.2}.items():
        assert areas[name] == pytest.approx(percent, abs=0.06)
    found = compare(train.moments(), {"val": val.moments()}, train.names)
    assert set(found.names[:2]) == {"road", "building"}
    apart = fsd(train.moments(), val.moments()).value
    halves = self_check(train.counts, train.pixels, train.names).distance.mean()
    assert apart > 2 * halves  # other drives: more than noise


def reader(shared):
    """Digits by ridge regression on random features of 10,000 pictures; its share of right answers on test digits."""
    data = np.load(shared / "data" / "mnist" / "mnist.npz")
    train, labels, test, truth = (data[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    middle = train[:1000].reshape(1000, -1).mean(0) / 127.5
    rng = np.random.default_rng(0)
    matrix, bias = rng.normal(size=(784, 1500)) / 14, rng.normal(size=1500)

    def features(images):
        return np.maximum((images.reshape(len(images), -1) / 127.5 - middle) @ matrix + bias, 0)

    x, y = features(train[:10_000]), np.eye(10)[labels[:10_000]]
    weights = np.linalg.solve(x.T @ x + 10 * np.eye(1500), x.T @ y)
    read = lambda images: (features(images) @ weights).argmax(1)  # noqa: E731
    return read, float((read(test[:2000]) == truth[:2000]).mean()), test[:2000]


def test_an_uneven_gan_is_found_out(shared):
    """A third ones and hardly any twos, as an independent LeNet also says. A class is a picture of one pixel."""
    read, right, real = reader(shared)
    assert right > 0.92
    weights = np.load(shared / "data" / "mnist-mlp-gan" / "generator.npz")
    layers = [weights[name].astype(np.float64) for name in weights.files]
    x = np.random.default_rng(1).normal(size=(2000, 64))
    for i in (0, 2):
        x = np.maximum(x @ layers[i].T + layers[i + 1], 0)
    drawn = (np.tanh(x @ layers[4].T + layers[5]) + 1) * 127.5
    sides = [
        Moments.of_counts(np.asarray(tally(jnp.asarray(read(x)).reshape(-1, 1, 1) + 1, 11)), 1) for x in (real, drawn)
    ]
    found = compare(sides[0], {"gan": sides[1]}, ("none", *"0123456789"))
    side = found.sides["gan"]
    ones, twos, fives, eights = (found.row(digit) for digit in "1258")
    assert side.mean[ones] == pytest.approx(33, abs=6)
    assert side.delta[twos] < -0.6
    assert max(side.delta[fives], side.delta[eights]) < -0.4
    assert side.z[ones] > 10


def test_a_pretrained_gan_finds_its_own_faces_again_and_real_ones_less_well(shared):
    """By its code alone: the known answer first, then photographs of other people."""
    gan = import_checkpoint(shared / "data" / "face-dcgan32" / "generator.pt").gan
    chain, source = cut(gan), f"zip:{shared / 'data' / 'utkface64' / 'utkface64_2500.zip'}"
    drawn = draw(chain, np.asarray(gan.latents(jax.random.key(3), 4))).images
    both = np.concatenate([drawn, images([source], gan, 4).images])
    one = make_mesh(jax.devices()[:1])
    found = invert(chain, both, InvertOptions("a", 150, starts=1), key=jax.random.key(4), mesh=one).images
    own, real = (correlation(both[part], found[part]) for part in (slice(4), slice(4, None)))
    assert own >= GATE["pixels"]
    assert 0.7 < real < own - 0.05
