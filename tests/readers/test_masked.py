"""A segmenter that learns from pictures with masks: what it is asked for, and that it learns."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from ganx.data import open_source
from ganx.errors import GanxError
from ganx.readers.masked import masked_segmenter, windows
from ganx.segment import SoftSegmenter, index_of, note
from ganx.segmenters import open_segmenter
from ganx.segmenters.show import show


def picture(rng):
    """Grass below sky, a few pixels of the border unknown; the colours are noisy."""
    horizon = rng.integers(4, 12)
    mask = np.full((16, 24), 0, np.uint8)
    mask[horizon:] = 2
    mask[horizon] = 1
    image = np.array([(90, 140, 220), (128, 128, 128), (60, 140, 50)])[mask] + rng.normal(0, 15, (16, 24, 3))
    return image.clip(0, 255).astype(np.uint8), mask


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A zip of pictures and masks in two splits."""
    path, rng = tmp_path_factory.mktemp("masked") / "land.zip", np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as file:
        for split, count in (("train", 12), ("val", 5)):
            for i in range(count):
                for folder, pixels in zip((split, f"{split}annot"), picture(rng), strict=True):
                    data = io.BytesIO()
                    Image.fromarray(pixels).save(data, "PNG")
                    file.writestr(f"{folder}/{i}.png", data.getvalue())
    return path


@pytest.fixture(scope="module")
def learned(place, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANX_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("ganx.readers.masked.STEPS", 40)
        patch.setattr("ganx.readers.masked.WIDTHS", (8, 16))
        name = f"unet:zip:{place}?names=sky,void,grass"
        yield name, masked_segmenter(name.removeprefix("unet:"), steps=40)


def test_it_learns_and_says_how_good_it_is_on_pictures_that_it_never_saw(learned):
    segmenter = learned[1]
    assert segmenter.names == ("none", "sky", "grass")
    assert isinstance(segmenter, SoftSegmenter)
    ((kind, found),) = segmenter.accuracy.items()
    assert kind == "5 pictures that it never saw"
    assert found["mIoU"] > 0.9
    assert set(found["iou"]) == {"sky", "grass"}
    assert f"sky {found['iou']['sky']:.2f}" in note(segmenter)
    images, masks = zip(*(picture(np.random.default_rng(i)) for i in (7, 8)), strict=True)
    labels = np.asarray(segmenter(np.stack(images)))
    truth = np.array([1, 0, 2])[np.stack(masks)]
    assert (labels == truth)[truth > 0].mean() > 0.9
    assert np.asarray(segmenter.probability(np.stack(images), index_of(segmenter, "grass")))[:, -1].min() > 0.5
    with pytest.raises(GanxError, match="multiples of 2, not 15x24"):
        segmenter(np.zeros((1, 15, 24, 3), np.float32))
    with pytest.raises(GanxError, match="3 channels, not of 1"):
        segmenter(np.zeros((1, 16, 24, 1), np.float32))
    with pytest.raises(GanxError, match="no label"):
        index_of(segmenter, "void")


def test_it_is_trained_once_and_shown(learned, place, tmp_path, capsys):
    name, segmenter = learned
    capsys.readouterr()
    said = show(name, f"zip:{place}?split=val", str(tmp_path / "s.png"), 3)
    assert capsys.readouterr().err == ""
    assert said[0] == note(segmenter)
    assert "grass" in said[1]
    page = np.asarray(Image.open(tmp_path / "s.png"))
    assert page.shape[2] == 3
    with pytest.raises(GanxError, match="1 picture or more"):
        show(name, f"zip:{place}", str(tmp_path / "s.png"), 0)
    with pytest.raises(GanxError, match="choose another place"):
        show(name, f"zip:{place}", str(tmp_path / "none/s.png"), 1)


def test_windows_move_pictures_and_masks_alike(place):
    source = open_source(f"zip:{place}")
    numbers = np.full(256, 255, np.uint8)
    numbers[[0, 2]] = 0, 1  # what is void stays unknown
    images, masks = windows(source, numbers, 4, 0)(3)
    assert images.shape == (4, 16, 24, 3)
    assert set(np.unique(masks)) <= {0, 1, 255}
    blue = np.asarray(images)[..., 2] > np.asarray(images)[..., 1]
    assert (blue == (np.asarray(masks) == 0))[np.asarray(masks) < 255].mean() > 0.95


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("unet:zip:{}?names=sky,grass", "2 names, and the masks .* have 3 values"),
        ("unet:zip:{}?names=sky,void,none", "two classes apart"),
        ("unet:zip:{}?test=nothing", "nothing"),
        ("unet:zip:{}?size=15x16", "multiples of"),
        ("unet:zip:{}?seed=x", "no whole number"),
        ("unet:world:faces?size=32", "named unet:faces"),
        ("unet:zip:/nowhere.zip", "does not exist"),
        ("unet:world:gaussians", "named unet:gaussians"),
    ],
)
def test_what_cannot_be_learned_is_said(place, name, complaint):
    with pytest.raises(GanxError, match=complaint):
        open_segmenter(name.format(place))


def test_pictures_without_masks_or_splits_are_refused(tmp_path):
    for folder in ("plain", "one/train", "one/trainannot"):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(np.eye(16, dtype=np.uint8)).save(tmp_path / folder / f"{i}.png")
    with pytest.raises(GanxError, match="no masks to learn from"):
        open_segmenter(f"unet:folder:{tmp_path / 'plain'}")
    with pytest.raises(GanxError, match="no split val or test"):
        open_segmenter(f"unet:folder:{tmp_path / 'one'}")
