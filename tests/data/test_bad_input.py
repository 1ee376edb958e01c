"""Bad data ends in one line that says what is wrong and how to mend it."""

import json
import logging
import re
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from ganx.data import open_feed, open_source, prepare
from ganx.data.images import DecodeError
from ganx.errors import GanxError


def refuses(call, *words):
    with pytest.raises(GanxError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert re.search(word, message), message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("folder:{tmp}/nowhere", ("nowhere does not exist",)),
        ("folder:{tmp}/empty", ("no pictures in .*empty",)),
        ("{tmp}/nowhere", ("no file or folder .*nowhere", "world:faces")),
        ("{tmp}/notes.txt", ("no kind of data known here",)),
        ("zip:{tmp}/bad.zip", (r"bad\.zip is no zip",)),
        ("zip:{tmp}/nowhere.zip", ("does not exist",)),
        ("npz:{tmp}/bad.zip", ("cannot read .* as npz",)),
        ("npz:{tmp}/objects.npz", ("cannot read .* as npz", "allow_pickle")),
        ("npz:{tmp}/floats.npz", (r"float64 \[2, 4, 4\]", "uint8")),
        ("npz:{tmp}/names.npz", ("holds other; it needs 'images'",)),
        ("npz:{tmp}/labels.npz", (r"\['labels'\]", "must be 2 whole numbers")),
        ("record:{tmp}/empty", (r"no .*meta\.json", "ganx data prepare")),
        ("tfds:mnist?directory={tmp}", ("not prepared", "download_and_prepare")),
        ("tfds:mnits", ("did you mean tfds:mnist",)),
        ("idx:{tmp}/bad.zip", ("not an idx file",)),
        ("idx:{tmp}/empty", ("no train-images",)),
        ("cifar:{tmp}/bad.zip", ("cannot read .*bad.zip",)),
        ("celeba:{tmp}/empty", ("no folder img_align_celeba",)),
        ("lsun:{tmp}/empty", (r"no data\.mdb",)),
        ("wolrd:faces", ("did you mean 'world'",)),
        ("world:fases", ("did you mean 'faces'",)),
        ("world:faces?sise=32", ("did you mean 'size'",)),
        ("folder:", ("names nothing",)),
        ("npz:x.npz?size", ("has no value",)),
        ("npz:x.npz?size=1&size=2", ("given twice",)),
        ("npz:x.npz?sized=4", ("did you mean 'size'",)),
        ("npz:x.npz?size=big", ("size=big does not fit",)),
        ("npz:x.npz?crop=centre-square", ("did you mean 'center-square'",)),
        ("npz:x.npz?crop=center-crop-wide", ("needs a size",)),
        ("npz:x.npz?filter=lancsoz", ("did you mean 'lanczos'",)),
        ("npz:x.npz?channels=4", ("channels=4",)),
    ],
)
def test_what_cannot_be_opened(tmp_path, text, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 no more")
    (tmp_path / "notes.txt").write_text("hello")
    np.savez(tmp_path / "objects.npz", images=np.array([{}], object))
    np.savez(tmp_path / "floats.npz", images=np.zeros((2, 4, 4)))
    np.savez(tmp_path / "names.npz", other=np.zeros(3))
    np.savez(tmp_path / "labels.npz", images=np.zeros((2, 4, 4), np.uint8), labels=np.zeros(3, int))
    refuses(lambda: open_source(text.format(tmp=tmp_path)), *words)


def test_attributes_that_are_not_there(masked, folder):
    refuses(lambda: open_source(f"{masked}?attrs=femal"), "did you mean 'female'")
    refuses(lambda: open_source(f"{masked}?attrs=a(b"), "cannot read attrs=")
    refuses(lambda: open_source(f"{folder}?label=age"), "no attributes")


def test_pictures_that_do_not_fit_together(tmp_path):
    for name, shape in (("a", (4, 4, 3)), ("b", (4, 6, 3))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"{name}.png")
    refuses(lambda: open_source(str(tmp_path)), r"b\.png is 6x4, others are 4x4", "size=N")
    assert open_source(f"{tmp_path}?size=4").gather(np.arange(2)).image.shape == (2, 4, 4, 3)
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "b.png")
    refuses(lambda: open_source(f"{tmp_path}?size=4"), "mixes grey and RGB", "channels=3")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("dataset.json", "{", (r"cannot read .*dataset\.json",)),
        ("dataset.json", "[]", (r"cannot read .*dataset\.json",)),
        ("dataset.json", '{"labels": [["x.png", 1]]}', ("labels none of the pictures",)),
        ("dataset.json", '{"labels": [["cat/000.png", 0.5]]}', ("neither classes nor flags",)),
        ("labels.csv", "a,b\n1,2\n", ("no table with a column 'file'",)),
        ("labels.csv", "file,b\nx.png,2\n", ("names none of the pictures",)),
        ("labels.csv", "file,b\ncat/000.png\n", ("no table",)),
    ],
)
def test_side_files_that_cannot_be_used(folder, tmp_path, name, text, words):
    root = tmp_path / "set"
    shutil.copytree(folder, root)
    (root / name).write_text(text)
    refuses(lambda: open_source(str(root)), *words)


@pytest.fixture
def damaged(folder, tmp_path):
    """The fifty pictures, two of them cut short, as folder and zip."""
    root = tmp_path / "damaged"
    shutil.copytree(folder, root)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    for name in (names[5], names[49]):
        path = root / name
        path.write_bytes(path.read_bytes()[:120])
    shutil.make_archive(str(root), "zip", root)
    return root, (names[5], names[49])


@pytest.mark.parametrize("ending", ["", ".zip"])
def test_a_broken_picture_is_named(damaged, ending):
    root, (fifth, _) = damaged
    source = open_source(f"{root}{ending}")
    with pytest.raises(DecodeError, match=re.escape(f"{root.name}{ending}/{fifth}")):
        source.gather(np.arange(10))


def test_what_is_no_picture_is_said_to_be_none(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing of the kind")
    refuses(lambda: open_source(str(tmp_path)), r"a\.png: it is no picture of a known kind; .*\?on_error=skip")


def test_skipping_is_not_advised_where_nothing_would_be_left(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(b"nothing of the kind")
    refuses(lambda: open_source(f"{tmp_path}?on_error=skip"), r"none of 2 pictures of .* can be decoded; .*a\.png is")


def test_broken_pictures_can_be_skipped(damaged, caplog, pixels):
    root, names = damaged
    source = open_source(f"{root}?on_error=skip")
    with caplog.at_level(logging.WARNING, "ganx"):
        batch = source.gather(np.array([4, 5, 6, 49, 5]))
    assert batch.index.tolist() == [4, 6, 6, 0, 6]  # the next good one takes its place
    np.testing.assert_array_equal(batch.image, pixels[batch.index])
    assert [name.removeprefix(f"{root}/") for name in source.skipped] == list(names)
    assert len(caplog.records) == 2


def test_the_feed_fails_or_skips_as_told(damaged):
    root, names = damaged
    source = open_source(str(root))
    with open_feed(source, 50, residency="stream") as feed:
        refuses(lambda: feed.batch(0), re.escape(names[0]) + "|" + re.escape(names[1]))
    refuses(lambda: open_feed(source, 50, residency="device"), "cannot decode")
    with open_feed(source, 50, residency="stream", on_error="skip") as feed:
        seen = np.asarray(feed.batch(0)["example"].index)
        assert sorted(feed.source.skipped) == sorted(f"{root}/{name}" for name in names)
    assert 5 not in seen
    assert 49 not in seen
    refuses(lambda: open_feed(source, 50, on_error="ignore"), "no value for on_error")


def test_preparing_leaves_broken_pictures_out(damaged, tmp_path):
    root, names = damaged
    records = prepare(str(root), tmp_path / "records", on_error="skip")
    assert len(open_source(str(records))) == 48
    meta = json.loads((records / "meta.json").read_text())
    assert [name.removeprefix(f"{root}/") for name in meta["skipped"]] == list(names)


def test_a_zip_damaged_inside_names_the_entry(forms, tmp_path):
    data = bytearray((tmp_path.parent / forms["stylegan"][4:]).read_bytes())
    at = data.index(b"img00000003.png") + 60
    data[at : at + 4] = b"\0\0\0\0"
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(DecodeError, match=r"x\.zip/00000/img00000003\.png"):
        open_source(str(tmp_path / "x.zip"))[3]


@pytest.mark.parametrize("kind", ["record", "mapped"])
def test_records_damaged_or_incomplete(forms, tmp_path, kind):
    root = tmp_path / "records"
    shutil.copytree(forms[kind].partition(":")[2], root)
    data = sorted(path for path in root.iterdir() if path.suffix in (".npy", ".array_record"))
    content = data[1].read_bytes()
    data[1].write_bytes(content[: len(content) // 2])
    refuses(lambda: open_source(str(root)), "prepare")
    data[1].unlink()
    refuses(lambda: open_source(str(root)), "is missing")
    (root / "meta.json").write_text("{}")
    refuses(lambda: open_source(str(root)), r"cannot read .*meta\.json")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    refuses(lambda: open_source("tfds:mnist"), "pip install tensorflow-datasets")
    (tmp_path / "data.mdb").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "lmdb", None)
    refuses(lambda: open_source(f"lsun:{tmp_path}"), "pip install lmdb")


def test_a_bucket_needs_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    for text in ("gs://no-such-bucket/x.npz", "zip:gs://no-such-bucket/x.zip", "folder:gs://no-such-bucket/x"):
        refuses(lambda text=text: open_source(text), "cannot reach gs://no-such-bucket", "pip install gcsfs")
    refuses(lambda: open_source("record:gs://no-such-bucket/x"), "copy the folder to a local disk")


def test_records_without_their_package(forms, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python.array_record_data_source", None)
    refuses(lambda: open_source(forms["record"]), "pip install array-record")
