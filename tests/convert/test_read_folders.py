"""Folders of files that belong together, and Keras weights."""

import json
import sys

import handmade
import numpy as np
import pytest

from ganx import GanxError
from ganx.convert import read_source

ARRAYS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.ones(3, np.float16)}
CONFIG = {"z_dim": 8, "layers": [[False, 16, 8], [True, 8, 4]], "nested": {"eps": 1e-4}}


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "model.safetensors"])
def test_a_hugging_face_folder(tmp_path, weights):
    if weights.endswith("bin"):
        handmade.save_legacy(tmp_path / weights, ARRAYS)
    else:
        types = {"a.weight": "F32", "a.bias": "F16"}
        (tmp_path / weights).write_bytes(handmade.safetensors_bytes(ARRAYS, types))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    wanted = {"config.z_dim": 8, "config.layers": CONFIG["layers"], "config.nested.eps": 1e-4}
    for path in (tmp_path, tmp_path / weights):
        source = read_source(path)
        assert list(source.tensors) == list(ARRAYS)
        assert source.facts == wanted


def test_one_file_for_each_network(tmp_path):
    for name in ("G", "D"):
        handmade.save_zip(tmp_path / f"{name}.pth", ARRAYS)
    assert set(read_source(tmp_path).tensors) == {f"{part}.{name}" for part in "GD" for name in ARRAYS}


@pytest.mark.parametrize("config", ["{", "[1]", "[" * 100_000, '{"a":' * 20 + "1" + "}" * 20, " " * (1 << 21)])
def test_a_damaged_config(tmp_path, config):
    handmade.save_zip(tmp_path / "pytorch_model.bin", ARRAYS)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(GanxError, match=r"config\.json beside it"):
        read_source(tmp_path)


def test_an_empty_folder(tmp_path):
    with pytest.raises(GanxError, match="holds none of"):
        read_source(tmp_path)


def test_keras_without_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(GanxError, match="pip install h5py"):
        read_source(tmp_path / "weights.h5")


@pytest.fixture
def h5(tmp_path):
    """Opens a new file, and reads it."""
    h5py = pytest.importorskip("h5py")

    def read(write):
        with h5py.File(tmp_path / "weights.h5", "w") as file:
            write(file, h5py)
        return read_source(tmp_path / "weights.h5").tensors

    return read


def test_keras_weights(h5):
    def write(file, _):
        file.create_group("model_weights/conv1")["kernel:0"] = ARRAYS["a.weight"]
        file.attrs["layer_names"] = ["conv1"]

    found = h5(write)
    assert found.keys() == {"model_weights.conv1.kernel:0"}
    np.testing.assert_array_equal(found["model_weights.conv1.kernel:0"], ARRAYS["a.weight"])


def _soft(file, h5py):
    file["a"] = h5py.SoftLink("/b")


def _external(file, h5py):
    file["a"] = h5py.ExternalLink("/etc/passwd", "/b")


def _objects(file, h5py):
    file.create_dataset("a", data=["x"], dtype=h5py.string_dtype())


def _references(file, h5py):
    file.create_dataset("a", data=[file.ref], dtype=h5py.ref_dtype)


def _elsewhere(file, h5py):
    file.create_dataset("a", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def _virtual(file, h5py):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "b", (4,))
    file.create_virtual_dataset("a", layout)


def _compressed(file, h5py):
    file.create_dataset("a", data=np.zeros(1 << 20), compression="gzip")


def _unwritten(file, h5py):
    file.create_dataset("a", (1 << 40,), "f4")


@pytest.mark.parametrize(
    "write", [_soft, _external, _objects, _references, _elsewhere, _virtual, _compressed, _unwritten]
)
def test_keras_files_that_point_elsewhere_or_promise_too_much(h5, write):
    with pytest.raises(GanxError, match="refused"):
        h5(write)
