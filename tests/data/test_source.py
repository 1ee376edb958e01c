"""Every kind of source, one interface: the same pictures come out of all of them."""

import zipfile

import jax
import numpy as np
import pytest
from PIL import Image

from ganx.data import open_source
from ganx.errors import GanxError

CLASSES = ("cat", "dog", "eel")


@pytest.mark.parametrize("kind", ["folder", "zip", "npz", "record", "mapped", "stylegan"])
@pytest.mark.parametrize("options", ["", "?size=5&filter=box", "?crop=4", "?channels=1"])
def test_the_same_pictures_come_out_of_every_form(forms, pixels, labels, kind, options):
    ours, reference = open_source(forms[kind] + options), open_source(forms["npz"] + options)
    indices = np.array([49, 0, 7, 7, 31])
    batch, expected = ours.gather(indices), reference.gather(indices)
    jax.tree.map(np.testing.assert_array_equal, batch, expected)
    assert len(ours) == 50
    assert ours.spec.shape == batch.image.shape[1:]
    assert ours.spec.labels == CLASSES
    np.testing.assert_array_equal(batch.label, labels[indices])
    if not options:
        np.testing.assert_array_equal(batch.image, pixels[indices])


@pytest.mark.parametrize("kind", ["folder", "npz", "record"])
def test_gather_is_stacking_single_examples(forms, kind):
    source = open_source(forms[kind])
    indices = np.array([3, 48, 3])
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *[source[int(i)] for i in indices])
    jax.tree.map(np.testing.assert_array_equal, source.gather(indices), stacked)
    with pytest.raises(IndexError):
        source[50]


def test_plain_paths_are_recognised_and_names_reopen(forms, folder):
    for text in forms.values():
        plain = open_source(text.partition(":")[2])
        assert plain.spec.name == text
        assert len(open_source(plain.spec.name)) == 50


def test_stylegan_zip_follows_the_convention(forms, pixels, labels):
    with zipfile.ZipFile(forms["stylegan"][4:]) as archive:
        entries = archive.infolist()
        assert entries[7].filename == "00000/img00000007.png"
        assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
        np.testing.assert_array_equal(Image.open(archive.open(entries[7])), pixels[7])
    from tests.data.conftest import stylegan_labels

    assert stylegan_labels(forms["stylegan"][4:])[7] == ["00000/img00000007.png", int(labels[7])]


def test_masks_follow_their_pictures(masked):
    source = open_source(f"{masked}?masks=sky,sea,land&crop=center-square&size=3&ignore=2")
    plain = open_source(str(masked))
    assert source.spec.masks == ("sky", "sea")
    assert plain.spec.masks == ("class 0", "class 1", "class 2")
    mask = plain[1].mask
    np.testing.assert_array_equal(mask, Image.open(masked / "masks" / "1.png"))
    want = np.where(mask == 2, 255, mask)[1::2, 2:7:2]  # nearest to the centres of 2x2 cells of the middle 6x6
    np.testing.assert_array_equal(source[1].mask, want)


def test_table_columns_become_attributes(masked):
    source = open_source(f"{masked}?attrs=age(0-30,31-50),female,city&label=female")
    batch = source.gather(np.arange(4))
    assert source.spec.attrs == {"age": ("0-30", "31-50"), "female": ("no", "yes"), "city": ("Oslo",)}
    assert batch.attrs["age"].tolist() == [0, 0, 1, -1]
    assert batch.attrs["city"].tolist() == [-1, 0, 0, 0]
    assert batch.label.tolist() == [0, 1, 0, 1]
    assert source.spec.labels == ("no", "yes")


def test_without_labels_the_label_is_minus_one(masked, tmp_path):
    assert open_source(str(masked))[0].label == -1
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 4, 4), np.uint8))
    source = open_source(str(tmp_path / "x.npz"))
    assert source.spec.labels == ()
    assert source.gather(np.arange(2)).label.tolist() == [-1, -1]


def test_splits(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.zeros((3, 28, 28), np.uint8), x_test=np.full((2, 28, 28), 9, np.uint8))
    for split in ("train", "test"):
        for name in ("a", "b"):
            path = tmp_path / "split" / split / name / "0.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    assert [len(open_source(f"{tmp_path}/x.npz{query}")) for query in ("", "?split=test")] == [3, 2]
    folder = tmp_path / "split"
    assert [len(open_source(f"{folder}{query}")) for query in ("", "?split=test", "?split=all")] == [2, 2, 4]
    assert open_source(f"{folder}?split=test").gather(np.arange(2)).label.tolist() == [0, 1]
    with pytest.raises(GanxError, match="did you mean 'test'"):
        open_source(f"{folder}?split=tests")


def test_mnist_is_padded_to_32_rather_than_enlarged(tmp_path):
    digits = np.random.default_rng(0).integers(1, 256, (2, 28, 28), np.uint8)
    np.savez(tmp_path / "x.npz", x=digits)
    image = open_source(f"{tmp_path}/x.npz?size=32").gather(np.arange(2)).image
    np.testing.assert_array_equal(image[:, 2:30, 2:30, 0], digits)
    assert image.sum() == digits.sum()


def test_dataset_json_overrides_folders(folder, tmp_path):
    import json
    import shutil

    root = tmp_path / "set"
    shutil.copytree(folder, root)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    (root / "dataset.json").write_text(json.dumps({"labels": [[name, [0, 1]] for name in names]}))
    assert set(open_source(str(root)).gather(np.arange(50)).label.tolist()) == {1}
    (root / "dataset.json").write_text(json.dumps({"labels": [[name, [1.0, 1.0]] for name in names]}))
    source = open_source(str(root))
    assert source[0].attrs == {"label0": 1, "label1": 1}
    assert source[0].label == -1
    (root / "dataset.json").write_text('{"labels": null}')
    assert open_source(str(root)).spec.labels == ()
