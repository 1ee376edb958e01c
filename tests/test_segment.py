"""Segmenters behind one interface."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.errors import GanxError
from ganx.segment import Segmenter, SoftSegmenter, checked, index_of, membership
from ganx.segmenters import CallbackSegmenter, ColourOracle, HostSegmenter, Joined, open_segmenter
from ganx.segmenters.colours import lab


@pytest.fixture(scope="module")
def oracle():
    return open_segmenter("world:faces?size=32")


@pytest.fixture(scope="module")
def batch(oracle):
    return oracle.world.gather(np.arange(3))


def test_the_oracle_reads_hard_renders_exactly_and_runs_inside_jit(oracle, batch):
    labels = jax.jit(lambda segmenter, x: segmenter(x))(oracle, batch.image)
    np.testing.assert_array_equal(labels, batch.mask.astype(int) + 1)
    assert isinstance(oracle, SoftSegmenter)
    assert oracle.names[0] == "none"
    assert len(oracle.names) == len(oracle.categories) == len(oracle.world.CLASSES) + 1


def test_the_oracles_probability_prefers_the_label_and_has_a_gradient(oracle, batch):
    hair = index_of(oracle, "hair")
    x = jnp.asarray(batch.image / 127.5 - 1, jnp.float32)
    score = np.asarray(oracle.probability(x, hair))
    inside = np.asarray(membership(oracle(x), hair))
    assert score[inside].min() > score[~inside].mean()
    step = jax.random.normal(jax.random.key(0), x.shape) * 1e-2
    f = lambda x: oracle.probability(x, hair).sum()  # noqa: E731
    slope = (jax.grad(f)(x) * step).sum()
    np.testing.assert_allclose((f(x + step) - f(x - step)) / 2, slope, rtol=0.02)
    with pytest.raises(GanxError, match="no colour of its own"):
        oracle.probability(x, index_of(oracle, "right brow"))


def test_host_and_callback_give_the_labels_of_the_native_path(oracle, batch):
    x = jnp.asarray(batch.image / 127.5 - 1, jnp.float32)
    table = oracle.world.palette.colours / 127.5 - 1
    parts = oracle.world.palette.parts + 1

    def nearest(x):
        return parts[np.square(x[..., None, :] - table).sum(-1).argmin(-1)]

    host = HostSegmenter(nearest, oracle.names)
    np.testing.assert_array_equal(host(x)[:, 0], oracle.world.palette.classes(x).astype(int) + 1)
    score = lambda x, label: x.mean(-1)  # noqa: E731
    vjp = lambda x, label, ct: np.repeat(ct[..., None] / 3, 3, -1)  # noqa: E731
    inside = CallbackSegmenter(host, (32, 32), score, vjp)
    np.testing.assert_array_equal(jax.jit(lambda s, x: s(x))(inside, x), host(x)[:, 0])
    np.testing.assert_allclose(jax.grad(lambda x: inside.probability(x, 1).sum())(x), 1 / 3, atol=1e-7)
    assert isinstance(host, Segmenter)
    assert not host.on_device


def test_basic_colours_are_read_by_the_nearest_shade():
    colours = open_segmenter("colours")
    assert isinstance(colours, SoftSegmenter)
    assert set(colours.categories) == {"color"}
    told = {"red": (230, 20, 20), "blue": (40, 60, 220), "green": (0, 160, 0), "yellow": (255, 240, 0),
            "pink": (255, 170, 190), "brown": (120, 70, 30), "orange": (255, 140, 0), "purple": (128, 0, 128),
            "grey": (120, 120, 120), "white": (250, 250, 250), "black": (5, 5, 5)}  # fmt: skip
    pixels = np.array(list(told.values()), np.uint8)[None, None]
    labels = np.asarray(colours(jnp.asarray(pixels)))[0, 0]
    assert [colours.names[i] for i in labels] == list(told)
    x = jnp.asarray(pixels / 127.5 - 1, jnp.float32)
    np.testing.assert_array_equal(colours(x)[0, 0], labels)
    red = np.asarray(colours.probability(x, index_of(colours, "red")))[0, 0]
    assert red[0] > 0.9
    assert red[1:].max() < 0.2
    slope = jax.grad(lambda x: colours.probability(x, 1).sum())(x)
    assert jnp.isfinite(slope).all()


def test_colours_are_not_read_in_grey_pictures():
    with pytest.raises(GanxError, match="3 channels, not of 1"):
        open_segmenter("colours")(jnp.zeros((1, 4, 4, 1)))


def test_lab_is_the_published_space():
    """Values of the sRGB primaries and of mid grey under D65."""
    want = {(1, 1, 1): (100, 0, 0), (1, 0, 0): (53.24, 80.09, 67.20), (0, 1, 0): (87.73, -86.18, 83.18),
            (0, 0, 1): (32.30, 79.19, -107.86), (0.5, 0.5, 0.5): (53.39, 0, 0), (0, 0, 0): (0, 0, 0)}  # fmt: skip
    np.testing.assert_allclose(lab(jnp.array(list(want))), list(want.values()), atol=0.03)


def test_colours_stand_beside_other_classes(batch):
    both = open_segmenter("world:faces?size=32+colours")
    assert isinstance(both, Joined)
    assert both.on_device
    assert set(both.categories) == {"object", "color"}
    labels = np.asarray(both(batch.image))
    assert labels.shape == (3, 2, 32, 32)
    assert {both.categories[i] for i in np.unique(labels[:, 1])} == {"color"}


def test_joined_labels_keep_none_and_move_the_second_block(oracle):
    few = HostSegmenter(lambda x: np.zeros((len(x), 2, 2), int), ("none", "a"), ("object", "part"))
    one = HostSegmenter(lambda x: np.ones((len(x), 2, 2), int), ("none", "b"))
    joined = Joined((few, one))
    assert joined.names == ("none", "a", "b")
    assert joined.categories == ("object", "part", "object")
    labels = joined(np.zeros((1, 2, 2, 3)))
    assert labels[:, 0].max() == 0
    assert labels[:, 1].min() == 2
    assert not joined.on_device
    both = Joined((oracle, oracle))
    assert both.on_device
    x = jnp.zeros((1, 4, 4, 3))
    np.testing.assert_array_equal(both.probability(x, 4), both.probability(x, 4 + len(oracle.names) - 1))


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (np.zeros((2, 4, 4)), "whole numbers"),
        (np.zeros((4, 4), int), r"labels \[n, h, w\]"),
        (np.zeros((3, 4, 4), int), "for n = 2"),
        (np.full((2, 4, 4), 99), "returned label 99"),
        (np.full((2, 4, 4), -1), "returned label -1"),
    ],
)
def test_what_a_segmenter_does_wrong_is_said(oracle, labels, complaint):
    with pytest.raises(GanxError, match=complaint):
        checked(labels, oracle, 2)


def test_labels_and_segmenters_are_found_by_name():
    oracle = open_segmenter("world:scenes")
    assert isinstance(oracle, ColourOracle)
    assert oracle.names[index_of(oracle, "door")] == "door"
    with pytest.raises(GanxError, match="did you mean 'door'"):
        index_of(oracle, "dor")
    with pytest.raises(GanxError, match="no classes of pixels"):
        open_segmenter("world:gaussians")
    with pytest.raises(GanxError, match="no segmenter"):
        open_segmenter("nothing")
    with pytest.raises(GanxError, match="no encoder_epoch_40"):
        open_segmenter("upernet:nowhere")


def test_boxes_label_what_is_inside_them():
    boxes = open_segmenter("boxes:mouth=0.5,0.25,1,0.75&low=0.75,0,1,1")
    assert (boxes.names, isinstance(boxes, Segmenter)) == (("none", "mouth", "low"), True)
    labels = np.asarray(jax.jit(lambda s, x: s(x))(boxes, jnp.zeros((2, 4, 4, 3))))
    mouth = [[0] * 4, [0] * 4, [0, 1, 1, 0], [0, 1, 1, 0]]
    np.testing.assert_array_equal(labels, np.array([[mouth, [*[[0] * 4] * 3, [2] * 4]]] * 2))
    np.testing.assert_array_equal(membership(labels, 2), np.array([[[i == 3] * 4 for i in range(4)]] * 2))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("boxes:", "is no box"),
        ("boxes:mouth", "is no box"),
        ("boxes:mouth=0,0,1", "is no box"),
        ("boxes:mouth=0,0,one,1", "is no box"),
        ("boxes:mouth=0.5,0,0.5,1", "no inside"),
        ("boxes:mouth=0,0,1,1.5", "leaves the picture"),
        ("boxes:mouth=0,0,nan,1", "no inside"),
        ("boxes:=0,0,1,1", "a name of its own"),
        ("boxes:a=0,0,1,1&a=0,0,1,1", "a name of its own"),
        ("boxes:none=0,0,1,1", "a name of its own"),
    ],
)
def test_boxes_that_are_none_are_one_line(name, message):
    with pytest.raises(GanxError, match=message):
        open_segmenter(name)
