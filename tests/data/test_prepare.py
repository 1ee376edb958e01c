"""Preparing data: from the forms that authors distribute to records, once and resumably."""

import gzip
import importlib
import io
import json
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from ganx.data import describe, open_source, prepare, preview
from ganx.errors import GanxError


def contents(root):
    return {path.name: path.read_bytes() for path in sorted(root.iterdir())}


def test_records_carry_everything(masked, tmp_path):
    original = open_source(f"{masked}?masks=sky,sea,land")
    root = prepare(f"{masked}?masks=sky,sea,land", tmp_path / "records")
    records = open_source(f"record:{root}")
    ours, theirs = records.spec, original.spec
    assert (ours.shape, ours.attrs, ours.masks, ours.licence) == (
        theirs.shape,
        theirs.attrs,
        theirs.masks,
        theirs.licence,
    )
    a, b = records.gather(np.arange(4)), original.gather(np.arange(4))
    for name in ("image", "mask", "label"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_array_equal(a.attrs["age"], b.attrs["age"])
    meta = json.loads((root / "meta.json").read_text())
    assert meta["count"] == 4
    assert meta["source"] == theirs.name
    assert len(meta["sha256"]) == 64


def test_a_broken_off_run_goes_on_and_ends_the_same(folder, tmp_path, monkeypatch):
    whole = contents(prepare(str(folder), tmp_path / "whole", shard_bytes=20 * 192))
    module = importlib.import_module("ganx.data.prepare")
    write, calls = module.write_pictures, []

    def failing(path, *rest):
        calls.append(path.name)
        if len(calls) == 2:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        write(path, *rest)

    monkeypatch.setattr(module, "write_pictures", failing)
    with pytest.raises(KeyboardInterrupt):
        prepare(str(folder), tmp_path / "broken", shard_bytes=20 * 192)
    with pytest.raises(GanxError, match=r"meta\.json"):
        open_source(f"record:{tmp_path / 'broken'}")
    resumed = contents(prepare(str(folder), tmp_path / "broken", shard_bytes=20 * 192))
    assert [name.partition(".")[0] for name in calls] == [f"data-0000{i}-of-00003" for i in (0, 1, 1, 2)]
    assert resumed.keys() == whole.keys()
    assert all(resumed[name] == whole[name] for name in whole if name.endswith((".array_record", ".json")))
    prepare(str(folder), tmp_path / "broken", shard_bytes=20 * 192)
    assert len(calls) == 4  # finished: nothing to do


def test_what_was_only_begun_may_be_begun_again(folder, tmp_path):
    """So that a source that broke off at a bad picture can be given with on_error=skip."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "unfinished.json").write_text('{"source": "another"}')
    assert len(open_source(str(prepare(str(folder), tmp_path / "out", size=4)))) == 50


def test_other_data_are_not_overwritten(folder, tmp_path):
    prepare(str(folder), tmp_path / "out", size=4)
    with pytest.raises(GanxError, match="holds other data"):
        prepare(str(folder), tmp_path / "out", size=5)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(GanxError, match="holds other data"):
        prepare(str(folder), tmp_path / "mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(GanxError, match=r"cannot make .*file/out"):
        prepare(str(folder), tmp_path / "file" / "out")
    with pytest.raises(GanxError, match="no storage named 'numpy'"):
        prepare(str(folder), tmp_path / "new", storage="numpy")


def test_options_are_added_to_the_string(folder, tmp_path):
    root = prepare(f"{folder}?filter=box", tmp_path / "out", size=4, channels=None)
    assert open_source(str(root)).spec.shape == (4, 4, 3)
    assert json.loads((root / "meta.json").read_text())["source"] == f"folder:{folder}?filter=box&size=4"


def test_large_pictures_are_stored_as_png(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 260, 3), np.uint8)
    np.savez(tmp_path / "x.npz", images=pictures)
    root = prepare(f"{tmp_path}/x.npz", tmp_path / "out")
    assert json.loads((root / "meta.json").read_text())["encoding"] == "png"
    np.testing.assert_array_equal(open_source(str(root)).gather(np.arange(2)).image, pictures)


def test_stylegan_zips_need_powers_of_two(folder, tmp_path):
    with pytest.raises(GanxError, match="power of two"):
        prepare(str(folder), tmp_path / "x.zip", size=6)
    assert not (tmp_path / "x.zip").exists()


def test_a_world_becomes_records_and_points_do_not(tmp_path):
    text = "world:digits?size=8&length=8"
    records = open_source(str(prepare(text, tmp_path / "digits")))
    world = open_source(text)
    np.testing.assert_array_equal(records.gather(np.arange(8)).mask, world.gather(np.arange(8)).mask)
    assert records.spec.masks == world.spec.masks
    assert not records.spec.rendered
    with pytest.raises(GanxError, match="points"):
        prepare("world:gaussians", tmp_path / "points")


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return gzip.compress(header + array.tobytes())


def test_mnist_as_distributed(tmp_path):
    images, labels = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8), np.arange(5, dtype=np.uint8)
    for stem, count in (("train", 5), ("t10k", 2)):
        (tmp_path / f"{stem}-images-idx3-ubyte.gz").write_bytes(idx(images[:count]))
        (tmp_path / f"{stem}-labels-idx1-ubyte.gz").write_bytes(idx(labels[:count]))
    source = open_source(str(tmp_path))
    assert source.spec.name == f"idx:{tmp_path}"
    np.testing.assert_array_equal(source.gather(np.arange(5)).image[..., 0], images)
    assert source.gather(np.arange(5)).label.tolist() == [0, 1, 2, 3, 4]
    assert len(open_source(f"{tmp_path}?split=test")) == 2
    assert len(open_source(f"{tmp_path}/t10k-images-idx3-ubyte.gz")) == 2
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(idx(images)[:-900])
    with pytest.raises(GanxError, match=r"train-images-idx3-ubyte\.gz"):
        open_source(str(tmp_path))


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote text: the form that CIFAR-10 has."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def cifar(path, data, extra=None):
    """A small archive in the layout of cifar-10-python.tar.gz."""
    batches = {f"data_batch_{i}": data for i in range(1, 6)} | {"test_batch": data[:2]}
    meta = {b"label_names": [b"airplane", b"automobile", b"bird"]}
    with tarfile.open(path, "w:gz") as archive:
        for name, rows in batches.items():
            out = io.BytesIO()
            Python2Pickler(out, 2).dump({b"data": rows, b"labels": [0, 1, 2][: len(rows)], b"extra": extra})
            add(archive, name, out.getvalue())
        out = io.BytesIO()
        Python2Pickler(out, 2).dump(meta)
        add(archive, "batches.meta", out.getvalue())


def add(archive, name, content):
    info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def test_cifar_as_distributed(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, (3, 3072), np.uint8)
    cifar(tmp_path / "cifar-10-python.tar.gz", data)
    source = open_source(f"{tmp_path}/cifar-10-python.tar.gz")
    assert len(source) == 15
    assert source.spec.labels == ("airplane", "automobile", "bird")
    batch = source.gather(np.arange(15))
    assert batch.label.tolist() == [0, 1, 2] * 5
    assert batch.image[4, 7, 9].tolist() == data[1].reshape(3, 32, 32)[:, 7, 9].tolist()
    assert len(open_source(f"{tmp_path}/cifar-10-python.tar.gz?split=test")) == 2


class Hostile:
    def __reduce__(self):
        return print, ("never printed",)


def test_cifar_runs_nothing(tmp_path, capsys):
    cifar(tmp_path / "x.tar.gz", np.zeros((3, 3072), np.uint8), extra=Hostile())
    with pytest.raises(GanxError, match=r"asks for (__builtin__|builtins)\.print, which is not allowed"):
        open_source(f"{tmp_path}/x.tar.gz")
    assert "never" not in capsys.readouterr().out


@pytest.fixture
def celeba(tmp_path):
    (tmp_path / "img_align_celeba").mkdir()
    names = [f"{i:06d}.jpg" for i in range(1, 7)]
    for i, name in enumerate(names):
        Image.new("RGB", (178, 218), (40 * i, 0, 0)).save(tmp_path / "img_align_celeba" / name)
    flags = ["1 -1 -1", "-1 1 -1", "1 1 -1", "-1 -1 1", "1 -1 1", "-1 1 1"]
    rows = [f"{name} {row}" for name, row in zip(names, flags, strict=True)]
    (tmp_path / "list_attr_celeba.txt").write_text("\n".join(["6", "Black_Hair Blond_Hair Male ", *rows]) + "\n")
    parts = "\n".join(f"{name} {min(i // 2, 2)}" for i, name in enumerate(names))
    (tmp_path / "list_eval_partition.txt").write_text(parts)
    return tmp_path


def test_celeba_as_distributed(celeba, tmp_path):
    source = open_source(f"{celeba}?crop=178&size=16&split=all&attrs=hair(Black_Hair,Blond_Hair),Male")
    assert source.spec.name.startswith("celeba:")
    assert source.spec.shape == (16, 16, 3)
    assert source.spec.attrs == {"hair": ("Black_Hair", "Blond_Hair"), "Male": ("no", "yes")}
    batch = source.gather(np.arange(6))
    assert batch.attrs["hair"].tolist() == [0, 1, -1, -1, 0, 1]
    assert batch.attrs["Male"].tolist() == [0, 0, 0, 1, 1, 1]
    assert "non-commercial" in source.spec.licence
    assert [len(open_source(f"{celeba}?split={split}")) for split in ("train", "validation", "test")] == [2, 2, 2]
    root = prepare(str(celeba), tmp_path / "out", crop=178, size=8)
    assert "non-commercial" in json.loads((root / "meta.json").read_text())["licence"]


def test_lsun_as_distributed(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(tmp_path / "church_lmdb"), map_size=2**20) as environment, environment.begin(write=True) as to:
        for name, side in ((b"bb", 9), (b"aa", 7)):
            out = io.BytesIO()
            Image.new("RGB", (side, 6)).save(out, "WEBP", lossless=True)
            to.put(name, out.getvalue())
    source = open_source(f"{tmp_path}/church_lmdb?size=4")
    assert source.gather(np.arange(2)).image.shape == (2, 4, 4, 3)
    assert source.reader.name(0).endswith("church_lmdb/aa")


def test_description_and_contact_sheet(masked, forms, tmp_path):
    text = describe(open_source(f"{masked}?attrs=female"))
    assert "8x6, RGB" in text
    assert "no 2, yes 2" in text
    assert "class 2" in text
    assert "cat" in describe(open_source(forms["folder"]))
    sheet = Image.open(preview(open_source(str(masked)), tmp_path / "masks" / "sheet.png"))
    assert sheet.size[0] > 4 * 8 * 12  # four pictures beside their masks, enlarged twelvefold
    assert preview(open_source("world:gaussians?length=64"), tmp_path / "masks" / "points.png").exists()
    with pytest.raises(GanxError, match="cannot write"):
        preview(open_source(forms["folder"]), tmp_path / "nowhere" / "x.png")
