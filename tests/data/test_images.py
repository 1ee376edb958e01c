"""Decoding any picture to uint8, then crop, resize and channels."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

from ganx.data import images
from ganx.data.images import DecodeError, Preparation, SizeError, decode, measure


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def test_unusual_kinds_become_plain_and_are_said_once(caplog):
    images._said.clear()
    clear = Image.new("RGBA", (2, 2), (200, 0, 0, 0))
    with caplog.at_level(logging.WARNING, "ganx"):
        assert decode(encoded(clear), "a.png").tolist() == np.full((2, 2, 3), 255).tolist()
        decode(encoded(clear), "b.png")
        deep = Image.fromarray(np.full((2, 2), 257 * 80, np.uint16))
        assert decode(encoded(deep), "c.png").tolist() == np.full((2, 2, 1), 80).tolist()
        assert decode(encoded(Image.new("CMYK", (2, 2)), "JPEG"), "d.jpg").shape == (2, 2, 3)
        assert decode(encoded(Image.new("RGB", (2, 2), (9, 8, 7)).quantize(4)), "e.png")[0, 0].tolist() == [9, 8, 7]
    said = [record.message.split(" is a ")[1].split(":")[0] for record in caplog.records]
    assert said == ["transparent picture", "16-bit picture", "CMYK picture", "palette picture"]


def test_grey_stays_one_channel_unless_asked():
    grey = decode(encoded(Image.new("L", (3, 2), 5)), "g.png")
    assert grey.shape == (2, 3, 1)
    assert Preparation(channels=3).image(grey).tolist() == np.full((2, 3, 3), 5).tolist()


def test_the_cameras_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (4, 2)), "JPEG", exif=exif)
    assert decode(data, "a.jpg").shape == (4, 2, 3)
    assert measure(data, "a.jpg") == (4, 2, 3)


@pytest.mark.parametrize("data", [b"", b"no picture", encoded(Image.effect_noise((64, 64), 90))[:-900]])
def test_broken_data_names_its_file(data):
    with pytest.raises(DecodeError, match=r"cannot decode a/b\.png"):
        decode(data, "a/b.png")


def test_crops_and_resizes():
    ramp = np.arange(12 * 8, dtype=np.uint8).reshape(8, 12, 1)
    np.testing.assert_array_equal(Preparation(crop=4).image(ramp), ramp[2:6, 4:8])
    np.testing.assert_array_equal(Preparation(crop="center-square").image(ramp), ramp[:, 2:10])
    assert Preparation(size=(6, 5)).image(ramp).shape == (5, 6, 1)
    short = Preparation(size=(4, 4), resize="shorter-side", filter="box").image(ramp)
    np.testing.assert_array_equal(short, Preparation(size=(6, 4), filter="box").image(ramp)[:, 1:5])
    wide = Preparation(size=(8, 4), crop="center-crop-wide").image(np.full((8, 12, 3), 7, np.uint8))
    assert wide.shape == (8, 8, 3)
    assert (wide[2:6] == 7).all()
    assert wide.sum() == 4 * 8 * 3 * 7
    with pytest.raises(SizeError, match="too small for crop=9"):
        Preparation(crop=9).image(ramp)


def test_every_filter_antialiases():
    stripes = np.tile(np.array([0, 255], np.uint8), (32, 16))[..., None]
    for name in images.FILTERS:
        small = Preparation(size=(8, 8), filter=name).image(stripes)
        assert np.abs(small.astype(int) - 127).max() <= 20, name  # without antialiasing: 0 or 255


def test_masks_keep_their_classes_and_are_unknown_outside():
    mask = np.random.default_rng(0).choice(np.array([3, 200], np.uint8), (8, 12))
    assert set(np.unique(Preparation(size=(5, 5)).mask(mask))) <= {3, 200}
    wide = Preparation(size=(8, 4), crop="center-crop-wide").mask(mask)
    assert (wide[[0, 1, 6, 7]] == 255).all()
    assert (wide[2:6] != 255).all()
