"""Pixels round, colours keep their order, files read back."""

import io

import jax.numpy as jnp
import numpy as np
from PIL import Image

from ganx import pictures


def test_pixels_round_to_nearest_and_clip():
    values = np.array([-1.5, -1.0, -0.999, 0.0, 0.003, 1.0, 2.0], np.float32)
    want = [0, 0, 0, 128, 128, 255, 255]
    np.testing.assert_array_equal(pictures.to_uint8(values), want)
    np.testing.assert_array_equal(pictures.to_uint8(jnp.asarray(values)), want)
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(pictures.to_uint8(every.astype(np.float32) / 127.5 - 1), every)


def test_colour_maps_grow_brighter_away_from_nothing():
    luma = np.array([0.299, 0.587, 0.114])
    heat = pictures.heat(np.linspace(0, 3, 50), 3.0) @ luma
    assert (np.diff(heat) > 0).all()
    signed = pictures.signed(np.linspace(-2, 2, 51), 2.0) @ luma
    assert (np.diff(signed[:26]) < 0).all()
    assert (np.diff(signed[25:]) > 0).all()


def test_enlarging_and_shrinking_are_inverse():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), np.uint8)
    big = pictures.enlarge(images, 4)
    assert big.shape == (2, 3, 32, 32, 3)
    np.testing.assert_array_equal(pictures.shrink(big, 8), images)
    assert pictures.shrink(images, 8) is images


def test_a_sheet_holds_every_picture_in_its_place():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5, 3), np.uint8)
    sheet = pictures.sheet(images, gap=2)
    assert sheet.shape == (2 * 6 - 2, 3 * 7 - 2, 3)
    np.testing.assert_array_equal(sheet[6:10, 7:12], images[1, 1])
    assert (sheet[4:6] == 255).all()
    assert pictures.sheet(images, gap=0).shape == (8, 15, 3)


def test_files_read_back_exactly():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    for file in (pictures.png(image), pictures.webp(image)):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(file))), image)
    grey = np.asarray(Image.open(io.BytesIO(pictures.webp(image[..., :1]))))
    np.testing.assert_array_equal(grey, image[..., :1].repeat(3, -1))
    assert len(pictures.webp(image, 30)) < len(pictures.webp(image))


def test_animations_have_every_frame_and_loop():
    frames = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    film = Image.open(io.BytesIO(pictures.animation(frames, fps=10)))
    assert film.n_frames == 5
    film.seek(3)
    np.testing.assert_array_equal(np.asarray(film.convert("RGB")), frames[3])
    assert film.info["loop"] == 0
