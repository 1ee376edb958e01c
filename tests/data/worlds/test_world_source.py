"""Worlds as sources: the same example whatever the batch, names that read back, and refusals in one line."""

import hashlib
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.data.worlds import world
from ganx.errors import GanxError


@pytest.mark.parametrize("name", ["faces", "scenes", "digits"])
def test_one_is_the_same_as_many(drawn, name):
    kind, batch, _ = drawn(name, 32)
    one = kind[17]
    jax.tree.map(np.testing.assert_array_equal, one, jax.tree.map(lambda leaf: leaf[17], batch))
    assert one.image.shape == kind.spec.shape
    assert one.label.dtype == one.index.dtype == np.int32


def test_numbers_do_not_depend_on_jit():
    kind = world("gaussians")
    with jax.disable_jit():
        plain = kind.render(np.arange(3))
    np.testing.assert_allclose(plain.image, kind.gather(np.arange(3)).image, rtol=1e-6)
    np.testing.assert_array_equal(plain.label, kind.gather(np.arange(3)).label)


def test_another_process_with_optimised_code_draws_the_same():
    code = (
        "import hashlib, numpy as np; from ganx.data.worlds import world;"
        "print(hashlib.sha256(world('digits', size=32).gather(np.arange(256)).image.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    here = hashlib.sha256(world("digits", size=32).gather(np.arange(256)).image.tobytes()).hexdigest()
    assert other.stdout.split()[-1] == here


def test_seed_split_and_index_make_other_examples_and_size_does_not():
    params = [
        world("faces", **options).params(jnp.arange(4)).values["face_width"]
        for options in ({}, {"seed": 1}, {"split": "test"}, {"size": 32, "prior": {"hair": [1, 0, 0, 0]}})
    ]
    assert len(np.unique(np.concatenate(params[:3]))) == 12
    np.testing.assert_array_equal(params[3], params[0])


def test_gather_splits_and_pads_without_showing_it():
    kind = world("gaussians", modes=25)
    indices = np.arange(1500)[::-1]
    batch = kind.gather(indices)
    np.testing.assert_array_equal(batch.index, indices)
    np.testing.assert_array_equal(batch.image[7], kind[int(indices[7])].image)
    assert kind.gather(np.arange(0)).image.shape == (0, 2)


def test_render_works_inside_a_jitted_step():
    kind = world("faces", size=32)
    step = jax.jit(lambda start: kind.render(start + jnp.arange(4)).image.astype(jnp.float32).mean((1, 2, 3)))
    np.testing.assert_allclose(step(5), kind.gather(np.arange(5, 9)).image.mean((1, 2, 3)), rtol=1e-5)


def test_lengths_and_bounds():
    assert len(world("scenes")) == 100_000
    assert len(world("faces", split="test")) == 5_000
    kind = world("gaussians", length=10)
    assert len(kind) == 10
    assert [int(example.index) for example in kind] == list(range(10))
    for index in (-1, 10):
        with pytest.raises(IndexError):
            kind[index]


def test_soft_edges_keep_the_mask_and_smooth_the_picture():
    soft, hard = (world("digits", size=32, edges=edges).gather(np.arange(16)) for edges in ("soft", "hard"))
    assert (soft.mask == hard.mask).mean() > 0.999
    colours = [len(np.unique(image.reshape(-1, 3), axis=0)) for image in (soft.image[0], hard.image[0])]
    assert colours[0] > colours[1] <= 3


def test_grey_and_stacked_digits():
    grey = world("digits", grey="1", size=32)
    example = grey.gather(np.arange(6))
    assert example.image.shape == (6, 32, 32, 1)
    np.testing.assert_array_equal(grey.oracle(example.image), example.mask)
    stacked = world("digits", channels3="stack", size=32).gather(np.arange(2))
    assert stacked.image.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(stacked.image[1], np.concatenate(list(example.image[3:]), -1))
    assert stacked.label[1] == int("".join(str(digit) for digit in example.attrs["number"][3:]))


def test_digits_from_bitmaps(tmp_path):
    images = np.zeros((10, 28, 28), np.uint8)
    images[:, 8:20, 12:16] = 255
    np.savez(tmp_path / "glyphs.npz", images=images, labels=np.arange(10))
    example = world("digits", size=32, glyphs=str(tmp_path / "glyphs.npz")).gather(np.arange(32))
    assert ((example.mask == 2).mean((1, 2)) > 0.01).all()
    np.testing.assert_array_equal((example.mask == 1).any((1, 2)), example.attrs["style"] == 1)
    np.savez(tmp_path / "some.npz", images=images[:5], labels=np.arange(5))
    with pytest.raises(GanxError, match="no picture of a 5"):
        world("digits", glyphs=str(tmp_path / "some.npz"))


def test_gaussians_are_where_they_should_be():
    for modes, radius in [(8, 2 / 1.414), (25, None)]:
        kind = world("gaussians", modes=modes)
        points = kind.gather(np.arange(4000))
        read = kind.read(points.image)
        np.testing.assert_array_equal(read["mode"], points.label)
        assert len(np.unique(points.label)) == modes
        offset = points.image - kind.centres[points.label]
        np.testing.assert_allclose(offset.std(), kind.deviation, rtol=0.05)
        assert 0.98 < np.mean(read["close"]) < 0.995  # 1 - exp(-9/2) in two dimensions
        if radius:
            np.testing.assert_allclose(np.linalg.norm(kind.centres, axis=1), radius, rtol=1e-6)
        else:
            np.testing.assert_allclose(np.abs(kind.centres).max(), 4 / 2.828, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("faces", {}),
        ("faces", {"prior": {"hair": [1, 2, 3, 3], ("skin", "bangs"): np.eye(3, 2)}, "size": 32}),
        ("faces", {"exclude": [{"hair": "blond", "smile": 1}, {"skin": 2}], "balance": ("hair",), "seed": 3}),
        ("scenes", {"freq": {"person": 0.1}, "drop": ("car", "person"), "max_area": {"sun": 0.03}}),
        ("digits", {"grey": True, "size": 28, "jitter": 0.03}),
        ("digits", {"channels3": "stack"}),
        ("gaussians", {"modes": 25, "length": 100}),
    ],
)
def test_the_name_opens_the_same_world_again(name, options):
    kind = world(name, **options)
    assert kind.name == kind.spec.name
    _, _, query = kind.name.partition("?")
    again = world(name, **dict(part.split("=", 1) for part in query.split("&") if part))
    assert again == kind
    assert hash(again) == hash(kind)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("face", {}, "did you mean 'faces'"),
        ("faces", {"siz": 32}, "did you mean 'size'"),
        ("faces", {"size": "large"}, "size=large .* no whole number"),
        ("faces", {"split": "tets"}, "did you mean 'test'"),
        ("faces", {"edges": "sharp"}, "choose from: hard, soft"),
        ("faces", {"drop": "glases"}, "did you mean 'glasses'"),
        ("faces", {"drop": "background"}, "no class named 'background'"),
        ("faces", {"prior": "hair:1/2"}, "has 2 entries; it needs 4"),
        ("faces", {"prior": "hair:1/2/-1/1"}, "non-negative"),
        ("faces", {"prior": {"hair": [1, 1, 1, 1], ("hair", "smile"): np.ones((4, 2))}}, "more than once"),
        ("faces", {"exclude": "hair:blnd"}, "did you mean 'blond'"),
        ("faces", {"exclude": "smile:no,smile:yes"}, "leaves no combination"),
        ("faces", {"max_area": {"hair": 0.1}}, "no class for max_area named 'hair'"),
        ("scenes", {"freq": "person:2"}, "between 0 and 1"),
        ("scenes", {"freq": "person"}, "name:value"),
        ("scenes", {"freq": {"sun": 0.1}, "prior": {"sun": [1, 1]}}, "both prior and freq"),
        ("digits", {"glyphs": "missing.npz"}, "is no file"),
        ("digits", {"jitter": "much"}, "no number"),
        ("digits", {"grey": "maybe"}, "neither 0 nor 1"),
        ("gaussians", {"modes": 9}, "choose 8"),
    ],
)
def test_bad_options_are_refused_in_one_line(name, options, message):
    with pytest.raises(GanxError, match=message) as error:
        world(name, **options)
    assert "\n" not in str(error.value)


def test_a_dropped_object_cannot_be_given_back():
    kind = world("scenes", drop="person", size=32)
    with pytest.raises(GanxError, match="drops 'person'"):
        kind.counterfactual(kind.params(jnp.arange(2)), "person", 1)
