"""UPerNet gives the numbers of the authors' PyTorch network on weights made by a recipe."""

import dataclasses
import hashlib
import zlib
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ganx.convert.upernet import convert, decoder_places, encoder_places, keys
from ganx.errors import GanxError
from ganx.models.upernet import UPerNet, region_weights
from ganx.segmenters.upernet import UPerNetSegmenter, Vocabulary, _adaptive, prepare, quarters, read_labels


def recipe(name, shape):
    x = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF).standard_normal(shape)
    if len(shape) == 4:
        return (x * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
    if name.endswith("running_var"):
        return (1 + 0.2 * np.abs(x)).astype(np.float32)
    scale = 0.6 if name.endswith("weight") else 0
    return (scale + 0.1 * x).astype(np.float32)


def state(part, places, abstract, make):
    """A state dict with the published keys."""
    tensors = {}
    for place in places:
        for key, (collection, path) in keys(place).items():
            leaf = abstract[collection][part]
            for name in path:
                leaf = leaf[name]
            shape = tuple(np.array(leaf.shape)[[3, 2, 0, 1]]) if len(leaf.shape) == 4 else leaf.shape
            tensors[key] = make(f"{part}.{key}", shape)
    return tensors


@pytest.fixture(scope="module")
def abstract():
    return jax.eval_shape(UPerNet().init, jax.random.key(0), jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32))


@pytest.fixture(scope="module")
def golden(shared, abstract):
    with np.load(shared / "goldens/dissection/upernet_recipe.npz") as file:
        arrays = {name: file[name] for name in file.files}
    places = {"encoder": encoder_places(), "decoder": decoder_places()}
    variables = convert(*(state(part, p, abstract, recipe) for part, p in places.items()))
    segmenter = UPerNetSegmenter(UPerNet(), variables, Vocabulary.published(), sizes=(96,), downsample=2)
    arrays = {name: x[:1] if x.ndim > 1 and len(x) == 2 else x for name, x in arrays.items()}  # one image: it is slow
    images = arrays["image"].transpose(0, 2, 3, 1)
    small = dataclasses.replace(segmenter, sizes=(64,))
    return SimpleNamespace(
        arrays=arrays, images=images, segmenter=segmenter, scores=segmenter.scores(images), small=small.scores(images)
    )


def test_scores_and_labels_are_those_of_the_authors_network(golden):
    want, scores = golden.arrays, jax.tree.map(np.asarray, golden.scores)
    np.testing.assert_array_equal(
        prepare(golden.images, 96).transpose(0, 3, 1, 2)[..., :4, :4], want["preprocessed_corner"]
    )
    np.testing.assert_allclose(scores["object"].max(-1), want["object_prob_top"], atol=1e-5)
    np.testing.assert_array_equal(scores["object"].argmax(-1), want["object_argmax"])
    np.testing.assert_array_equal(scores["material"].argmax(-1), want["material_argmax"])
    labels = np.asarray(read_labels(golden.segmenter, golden.scores))
    np.testing.assert_array_equal(labels, want["segment_none"])
    halves = quarters(labels[:, 0], 335, "gandissect")
    np.testing.assert_array_equal(halves, want["segment_quad"][:, 3:])


def test_scores_of_several_sizes_are_added(golden):
    both = jax.tree.map(lambda a, b: a + b, golden.small, golden.scores)
    np.testing.assert_array_equal(read_labels(golden.segmenter, both), golden.arrays["segment_ms64_96"])
    for label, name in ((int(golden.arrays["single_class"]), "single"), (16, "door")):
        score = np.asarray(golden.segmenter.probability_from(both, label))
        np.testing.assert_allclose(score, golden.arrays[f"{name}_pred"], atol=1e-5)


@pytest.mark.parametrize(
    ("quarters", "count", "digest"),
    [
        (False, 389, "2c1bc3089fd19b942176fb564f9f38723e845dc7eebe0a6feae0970781232018"),
        (True, 1729, "3a18ace0b5e721146fbf368047206df5acb83b61609f0cfa9708925711d0455f"),
    ],
)
def test_labels_are_the_published_ones(quarters, count, digest):
    segmenter = UPerNetSegmenter(UPerNet(), {}, Vocabulary.published(), quarters=quarters)
    labels = segmenter.official_labels
    assert len(labels) == len(segmenter.names) == len(segmenter.categories) == count
    assert hashlib.sha256("\n".join("|".join(pair) for pair in labels).encode()).hexdigest() == digest
    assert len(UPerNetSegmenter(UPerNet(), {}, Vocabulary.published(), owners=()).names) == 473


@pytest.mark.parametrize("source", [3, 8, 9])
@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_region_pooling_is_the_integral_of_the_interpolated_map(source, bins):
    fine = 60_000
    t = (np.arange(fine) + 0.5) * source / fine
    triangles = np.maximum(0, 1 - np.abs(t[:, None] - np.arange(source)))
    brute = triangles.reshape(bins, fine // bins, source).mean(1)
    np.testing.assert_allclose(region_weights(source, bins), brute, atol=1e-7)


def test_region_pooling_fades_at_the_far_edge_only():
    np.testing.assert_allclose(region_weights(8, 3).sum(1), [1, 1, 0.8125])


def test_adaptive_pooling_overlaps_where_the_ratio_is_no_whole_number():
    np.testing.assert_allclose(_adaptive(5, 3) * 6, [[3, 3, 0, 0, 0], [0, 2, 2, 2, 0], [0, 0, 0, 3, 3]], atol=1e-6)


def test_quarters_split_every_component_by_its_box():
    image = np.zeros((6, 8), int)
    image[:4, :2] = 1
    image[5, 5] = 1  # a single pixel: its upper and left halves are empty
    image[1:3, 4:8] = 2
    vertical, across = quarters(image[None], 10)[0]
    np.testing.assert_array_equal(vertical[:, 0], [11, 11, 31, 31, 0, 0])
    np.testing.assert_array_equal(across[0, :2], [21, 41])
    np.testing.assert_array_equal(across[1, 4:], [22, 22, 42, 42])
    assert vertical[5, 5] == 31
    assert across[5, 5] == 41
    assert quarters(image[None], 10, "gandissect")[0, 0, 5, 5] == 0


WORDS = Vocabulary(
    ("-", "wall", "house", "door", "person"),
    ("-", "brick", "wood"),
    ("-", "door", "roof", "arm"),
    ((2, (0, 1, 2)), (4, (0, 3))),
)
"""A house has a door, which is an object too, and a roof; a person has an arm."""


@pytest.fixture(scope="module")
def small():
    return UPerNetSegmenter(UPerNet(), {}, WORDS, owners=("house", "person"))


def drawn(rng, n=2, side=5):
    """Scores as the heads would give them: every group of the part head sums to one."""
    groups = [rng.dirichlet(np.full(k, 0.5), (n, side, side)) for k in (5, 3, 3, 2)]
    objects, material, *parts = (x.astype(np.float32) for x in groups)
    return {"object": objects, "material": material, "part": np.concatenate(parts, -1)}


def test_labels_of_made_up_scores_follow_the_rules(small):
    assert small.names == ("none", "wall", "house", "door", "person", "brick", "wood", "roof", "arm")
    assert small.categories[5:] == ("material", "material", "part", "part")
    one = lambda *hot: np.eye(5, dtype=np.float32)[list(hot)][None, None]  # noqa: E731
    objects = one(1, 2, 2, 2, 4, 4, 0)
    material = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 0, 0, 1]][None, None]
    of_house = np.eye(3, dtype=np.float32)[[1, 1, 2, 0, 1, 1, 1]][None, None]
    of_person = np.eye(2, dtype=np.float32)[[1, 1, 1, 1, 1, 0, 1]][None, None]
    scores = {"object": objects, "material": material, "part": np.concatenate([of_house, of_person], -1)}
    labels = np.asarray(read_labels(small, scores))[0, :, 0]
    np.testing.assert_array_equal(labels[0], [1, 2, 2, 2, 4, 4, 0])
    np.testing.assert_array_equal(labels[1], [0, 5, 6, 0, 0, 0, 5])  # materials come after the objects, none stays none
    # a house's door is the object door, parts of others do not count, "no part" is none
    np.testing.assert_array_equal(labels[2], [0, 3, 7, 0, 8, 0, 0])


def test_a_labels_score_is_high_where_it_is_read(small):
    scores = drawn(np.random.default_rng(0))
    objects, parts, material = scores["object"], scores["part"], scores["material"]
    labels = np.asarray(read_labels(small, scores))
    # owner, channels of its group, and the channel that means the label
    route = {3: (2, [0, 1, 2], 1), 7: (2, [0, 1, 2], 2), 8: (4, [3, 4], 4)}
    for label in range(1, len(small.names)):
        want, inside = np.zeros_like(objects[..., 0]), np.zeros(objects.shape[:-1], bool)
        for scale, first in ((objects, 0), (material, 4)):
            if 0 < label - first < scale.shape[-1] and (label < 5) == (first == 0):
                want, inside = scale[..., label - first], scale.argmax(-1) == label - first
        if label in route:
            owner, group, channel = route[label]
            want = want + parts[..., channel]
            inside = inside | ((objects.argmax(-1) == owner) & (parts[..., group].argmax(-1) == group.index(channel)))
        np.testing.assert_allclose(small.probability_from(scores, label), want, rtol=1e-6)
        np.testing.assert_array_equal((labels == label).any(1), inside)
    f = lambda objects: small.probability_from({**scores, "object": objects}, 3).sum()  # noqa: E731
    slope = jax.grad(f)(scores["object"])
    np.testing.assert_array_equal(slope, np.broadcast_to(np.arange(5) == 3, slope.shape))
    with pytest.raises(GanxError, match="choose the whole object"):
        dataclasses.replace(small, quarters=True).probability(np.zeros((1, 64, 64, 3)), 5)


def test_touching_and_nested_regions_are_split_by_their_own_boxes():
    image = np.zeros((6, 6), int)
    image[:, :3], image[:, 3:] = 1, 2  # they touch
    image[2:4, 3:5] = 3  # inside 2
    image[5, 5] = 1  # touches 2 alone: a second region of 1
    vertical, across = quarters(image[None], 10)[0]
    np.testing.assert_array_equal(
        across[0], [21, 41, 41, 22, 42, 42]
    )  # the middle of three columns is in the second half
    np.testing.assert_array_equal(vertical[:, 0], [11, 11, 11, 31, 31, 31])
    np.testing.assert_array_equal(vertical[2:4, 3], [13, 33])
    np.testing.assert_array_equal(across[2, 3:5], [23, 43])
    assert (vertical[5, 5], across[5, 5]) == (31, 41)


def test_a_missing_or_unknown_key_is_named(abstract):
    empty = lambda name, shape: np.zeros(shape, np.float32)  # noqa: E731
    encoder = state("encoder", encoder_places(), abstract, empty)
    with pytest.raises(GanxError, match=r"lacks 'ppm_conv.0.0.weight'"):
        convert(encoder, {})
    with pytest.raises(GanxError, match="1 keys too many, such as 'extra'"):
        convert({**encoder, "extra": np.zeros(1), "fc.weight": np.zeros(1)}, {})
