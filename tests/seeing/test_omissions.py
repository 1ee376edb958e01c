"""What became of each class, on label maps small enough to count by hand; the commands on small worlds."""

import json

import jax
import numpy as np
import pytest

import ganx
from ganx import cli
from ganx.data.worlds import world
from ganx.models import init_gan
from ganx.seeing import Moments, compare
from ganx.seeing.measure import Table
from ganx.seeing.methods import Inversion
from ganx.seeing.omissions import Omissions, agreement, error_ratio
from ganx.seeing.pictures import blocks, colours, key, rows
from ganx.seeing.session import read, write

NAMES = ("none", "sky", "door", "wall")
BEFORE = np.array([[[1, 1, 2, 2], [1, 3, 2, 2]], [[1, 1, 1, 1], [3, 3, 3, 3]]])
AFTER = np.array([[[1, 1, 3, 3], [1, 3, 3, 2]], [[1, 1, 1, 1], [3, 3, 3, 1]]])


@pytest.fixture
def found():
    return Omissions.of_labels(BEFORE, AFTER, NAMES)


def test_fractions_and_substitutions(found):
    np.testing.assert_array_equal(found.present(), [0, 7, 4, 5])
    np.testing.assert_array_equal(found.omitted(), [0, 0, 3, 1])
    np.testing.assert_allclose(found.fraction()[1:], [0, 0.75, 0.2])
    assert np.isnan(found.fraction()[0])
    assert found.instead(2) == [("wall", 1.0)]
    assert found.ranking() == [2, 3, 1]
    np.testing.assert_allclose(found.fraction_by_image()[:, 3], [0, 0.25])
    assert key(found, 2) == "door: 75% omitted, drawn as wall 100%"
    assert rows(found)[0] == ("door", 25.0, 75.0, "wall 100%")


def test_photographs_agree_with_the_distribution(found):
    """A generator without doors: the class that is omitted most is the one that is drawn least."""
    real = Moments.of_counts(np.array([[0, 5, 2, 1], [0, 4, 3, 1]]), 8)
    drawn = Moments.of_counts(np.array([[0, 6, 0, 2], [0, 7, 0, 1]]), 8)
    side = compare(real, {"g": drawn}, NAMES)
    crossed = agreement(found, side.names, side.sides["g"])
    assert crossed.names == ("sky", "door", "wall")
    assert crossed.deltas[1] == -1
    assert crossed.correlation == pytest.approx(0.5)


def test_errors_inside_a_mask():
    images, redrawn = np.zeros((1, 2, 2, 3)), np.full((1, 2, 2, 3), 0.1)
    redrawn[0, 0, 0] = 1
    mask = np.zeros((1, 2, 2), bool)
    mask[0, 0, 0] = True
    assert error_ratio(images, redrawn, mask) == pytest.approx(100)


def test_a_block_shows_what_was_left_out():
    images = np.zeros((2, 2, 4, 1), np.float32)
    shown = blocks(images, images, BEFORE, AFTER, 4)
    assert shown.shape == (2, 5, 2, 4, 3)
    palette = colours(4)
    assert (palette[0] == 0).all()
    np.testing.assert_array_equal(shown[0, 4, 0, 2], palette[2])  # a door that became wall, in its own colour
    np.testing.assert_array_equal(shown[0, 4, 0, 0], palette[1] // 5)


def test_statistics_and_distance_by_command(tmp_path, capsys):
    scenes = "world:scenes?size=16"
    given = ["--segmenter", "masks", "--samples", "48", "--batch", "16"]
    assert cli.main(["segstats", scenes, f"{scenes}&drop=house", *given, "--out", str(tmp_path)]) == 0
    assert "wall: -100%" in capsys.readouterr().out
    said = json.loads((tmp_path / "comparison.json").read_text())
    (side,) = said["generated"].values()
    assert side["delta"][said["classes"].index("wall")] == -1
    (by_size,) = said["fsd_by_pictures"].values()
    assert list(by_size) == ["6", "12", "24", "48"]
    assert by_size["48"] == pytest.approx(side["fsd"], rel=1e-6)
    assert (tmp_path / "comparison.png").stat().st_size > 1000
    other = next(p for p in tmp_path.glob("*.npz") if p.stem != "real")
    assert cli.main(["fsd", str(tmp_path / "real.npz"), str(other)]) == 0
    assert float(capsys.readouterr().out.split()[1]) == pytest.approx(side["fsd"], rel=1e-5)


def test_omissions_by_command(tmp_path, capsys):
    """Scenes with their houses against the same scenes without them, as if that were the reconstruction."""
    scenes = world("scenes", size=16)
    with_house, without = (w.gather(np.arange(16)) for w in (scenes, scenes.replace(drop=("house",))))
    images, redrawn = (x.image.astype(np.float32) / 127.5 - 1 for x in (with_house, without))
    n = len(images)
    zeros = np.zeros((n, 1), np.float32)
    inversion = Inversion(zeros, {"s0": zeros}, zeros, redrawn, zeros[:, 0], zeros[:, 0])
    write(tmp_path, images, tuple("abcdefghijklmnop"), inversion, {"gan": "none"})
    assert read(tmp_path)[2].deltas["s0"].shape == (n, 1)
    names = ("none", *scenes.CLASSES)
    (tmp_path / "stats").mkdir()
    for name, masks in (("real", with_house.mask), ("drawn", without.mask)):
        counts = np.stack([np.bincount(m.ravel() + 1, minlength=len(names)) for m in masks.astype(int)])
        Table(names, counts.astype(np.int32), 256, name).save(tmp_path / "stats" / f"{name}.npz")
    given = ["--segmenter", "world:scenes?size=16", "--statistics", str(tmp_path / "stats")]
    assert cli.main(["omissions", str(tmp_path), *given]) == 0
    assert "wall: 100% omitted" in capsys.readouterr().out
    said = json.loads((tmp_path / "omissions.json").read_text())
    assert said["agreement"]["drawn"] > 0.5
    assert {row[0] for row in said["rows"] if row[2] == 100} == {"wall", "roof", "door", "window"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A GAN of 8 pixels in a folder."""
    folder = tmp_path_factory.mktemp("gan") / "tiny"
    ganx.save(init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 4}, jax.random.key(0)), folder)
    return str(folder)


def test_inversion_by_command(tmp_path, capsys, tiny):
    """The GAN's own pictures and others side by side; what is not known of the others is not claimed."""
    given = ["invert", tiny, "samples", "world:scenes", "--count", "2", "--out", str(tmp_path), "--method", "a"]
    assert cli.main([*given, "--steps", "2"]) == 0
    assert "can be believed" in (out := capsys.readouterr().out) or "too badly" in out
    said = json.loads((tmp_path / "inversion.json").read_text())
    assert {"code", "features", "pixels"} <= set(said["measured"]["samples"])
    assert "code" not in said["measured"]["photographs"]
    assert said["options"]["steps"] == 2
    _, names, found = read(tmp_path)
    assert names == ("sample 0", "sample 1", "world:scenes 0", "world:scenes 1")
    assert found.z.shape == (4, 4)
    for wrong in (
        ["--count", "0"],
        ["--steps", "-1"],
        ["--features", "vgg:nowhere.pth"],
        ["--features", "trunk"],
        ["--lr", "-1"],
    ):
        assert cli.main([*given, *wrong]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert cli.main(["omissions", str(tmp_path), "--segmenter", "world:scenes?size=8"]) == 0
    assert "its own pictures" in capsys.readouterr().out


def test_bad_input_is_one_line(tmp_path, capsys):
    assert cli.main(["omissions", str(tmp_path), "--segmenter", "world:scenes"]) == 2
    assert (
        cli.main(["segstats", "world:scenes?size=16", "faces32", "--segmenter", "masks", "--out", str(tmp_path)]) == 2
    )
    assert cli.main(["fsd", "world:scenes?size=16", str(tmp_path / "no.npz")]) == 2
    assert cli.main(["segstats", "world:scenes?size=16", "nowhere", "--out", str(tmp_path)]) == 2
    assert cli.main(["segstats", "world:scenes?size=16", "world:scenes?size=16", "--samples", "0"]) == 2
    assert len(capsys.readouterr().err.splitlines()) >= 3
    assert not (tmp_path / "real.npz").exists()  # nothing is counted before every name is known
