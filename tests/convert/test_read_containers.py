"""Every container gives back the very bits that were saved, views, shared and empty tensors included."""

import subprocess
import sys
import tracemalloc

import handmade
import ml_dtypes
import numpy as np
import pytest

from ganx import GanxError
from ganx.convert import read_source, read_tensors

BF16 = np.dtype(ml_dtypes.bfloat16)


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "w.float": rng.normal(size=(3, 4, 2)).astype(np.float32),
        "w.half": rng.normal(size=(5,)).astype(np.float16),
        "w.brain": rng.normal(size=(2, 3)).astype(BF16),
        "count": np.array(7, np.int64),
        "mask": np.array([True, False, True]),
        "empty": np.zeros((0, 3), np.float32),
    }


def _assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert list(found) == list(wanted)
    for key, array in wanted.items():
        assert found[key].dtype == array.dtype
        assert found[key].shape == array.shape
        assert found[key].tobytes() == array.tobytes()


@pytest.mark.parametrize("save", [handmade.save_zip, handmade.save_legacy])
def test_reads_what_was_saved(tmp_path, save):
    arrays = _arrays()
    _assert_same(read_tensors(save(tmp_path / "weights.txt", arrays)), arrays)


def test_reads_npz(tmp_path):
    arrays = {key: array for key, array in _arrays().items() if array.dtype != BF16}
    arrays["fortran"] = np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3))
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        _assert_same(read_tensors(tmp_path / "a.npz"), arrays)


def test_reads_safetensors(tmp_path):
    arrays = _arrays()
    types = dict(zip(arrays, ("F32", "F16", "BF16", "I64", "BOOL", "F32"), strict=True))
    (tmp_path / "a").write_bytes(handmade.safetensors_bytes(arrays, types))
    _assert_same(read_tensors(tmp_path / "a"), arrays)


def test_windows_on_one_storage(tmp_path):
    numbers = np.arange(12, dtype=np.float32)
    value = handmade.mapping(
        {
            "rows": handmade.tensor("0", "float32", 12, (3, 4), (4, 1)),
            "transposed": handmade.tensor("0", "float32", 12, (4, 3), (1, 4)),
            "every_second": handmade.tensor("0", "float32", 12, (5,), (2,), offset=1),
            "expanded": handmade.tensor("0", "float32", 12, (2, 3), (0, 1), offset=9),
        }
    )
    wanted = {
        "rows": numbers.reshape(3, 4),
        "transposed": numbers.reshape(3, 4).T,
        "every_second": numbers[1:11:2],
        "expanded": np.broadcast_to(numbers[9:], (2, 3)),
    }
    _assert_same(read_tensors(handmade.zip_container(tmp_path / "z", value, {"0": numbers.tobytes()})), wanted)
    _assert_same(read_tensors(handmade.legacy_container(tmp_path / "l", value, {"0": numbers})), wanted)


def test_a_storage_view_of_the_oldest_files(tmp_path):
    view = handmade.group(handmade.text("v"), handmade.number(4), handmade.number(3))
    kind = handmade.name("torch", "FloatStorage")
    fields = (handmade.text("storage"), kind, handmade.text("0"), handmade.text("cpu"), handmade.number(8), view)
    window = (handmade.group(*fields) + b"Q", handmade.number(1), handmade.sizes((2,)), handmade.sizes((1,)))
    value = handmade.mapping({"w": handmade.call(handmade.name("torch._utils", "_rebuild_tensor"), *window)})
    path = handmade.legacy_container(tmp_path / "l", value, {"0": np.arange(8, dtype=np.float32)})
    assert read_tensors(path)["w"].tolist() == [5.0, 6.0]


def test_a_container_nested_in_bytes(tmp_path):
    inner = handmade.legacy_bytes(handmade.storage("0", "float32", 3), {"0": np.arange(3, dtype=np.float32)})
    raw = b"B" + len(inner).to_bytes(4, "little") + inner
    nested = handmade.call(handmade.name("torch.storage", "_load_from_bytes"), raw)
    window = (nested, handmade.number(1), handmade.sizes((2,)), handmade.sizes((1,)))
    value = handmade.mapping({"w": handmade.call(handmade.name("torch._utils", "_rebuild_tensor"), *window)})
    path = handmade.zip_container(tmp_path / "z", value, {})
    assert read_tensors(path)["w"].tolist() == [1.0, 2.0]


def test_names_are_joined_and_the_rest_left_out(tmp_path):
    one = np.ones(2, np.float32)
    value = handmade.mapping(
        {
            "step": handmade.number(3),
            "model": handmade.mapping({"a.b": handmade.plain("0", one)}),
            "list": handmade.group(handmade.text("no tensor"), handmade.plain("1", 2 * one)),
            "args": handmade.call(handmade.name("argparse", "Namespace")) + handmade.mapping({"lr": b"N"}) + b"b",
        }
    )
    path = handmade.zip_container(tmp_path / "z", value, {"0": one.tobytes(), "1": (2 * one).tobytes()})
    found = read_tensors(path)
    assert {key: array.tolist() for key, array in found.items()} == {"model.a.b": [1, 1], "list.1": [2, 2]}
    assert read_source(path).facts == {"step": 3, "args.lr": None}


def test_numpy_values(tmp_path):
    dtype = handmade.call(handmade.name("numpy", "dtype"), handmade.text("f4"), b"\x89", b"\x88")
    dtype += handmade.group(handmade.number(3), handmade.text("<"), b"NNN", b"J\xff\xff\xff\xff" * 2, b"K\0") + b"b"
    raw = np.arange(2, dtype=np.float32).tobytes().decode("latin-1")
    encoded = handmade.call(handmade.name("_codecs", "encode"), handmade.text(raw), handmade.text("latin1"))
    array = handmade.call(
        handmade.name("numpy.core.multiarray", "_reconstruct"),
        handmade.name("numpy", "ndarray"),
        handmade.sizes((0,)),
        b"C\x01b",
    )
    array += handmade.group(handmade.number(1), handmade.sizes((2,)), dtype, b"\x89", encoded) + b"b"
    scalar = handmade.call(handmade.name("numpy._core.multiarray", "scalar"), dtype, b"C\x04\0\0\0\0")
    value = handmade.mapping({"w": array, "loss": scalar})
    assert read_tensors(handmade.zip_container(tmp_path / "z", value, {}))["w"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("legacy", [False, True])
def test_agrees_with_torch(tmp_path, legacy):
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(4, 6, generator=generator)
    state = {
        "float": base,
        "half": base.half(),
        "brain": base.bfloat16(),
        "long": torch.arange(5),
        "bool": base > 0,
        "transposed": base.T,
        "strided": base[1:, ::2],
        "shared": base[2],
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(base[:1].clone()),
    }
    torch.save({"net": state, "size": torch.Size([1, 2])}, tmp_path / "t", _use_new_zipfile_serialization=not legacy)
    found = read_tensors(tmp_path / "t")
    assert list(found) == [f"net.{key}" for key in state]
    for key, tensor in state.items():
        array = found[f"net.{key}"]
        assert (array.dtype.name, array.shape) == (str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape))
        wanted = (
            tensor.detach().contiguous().flatten().view(torch.uint8 if tensor.numel() and tensor.ndim else tensor.dtype)
        )
        assert array.tobytes() == wanted.numpy().tobytes()
    assert np.shares_memory(found["net.float"], found["net.shared"])


def test_reading_imports_no_torch(tmp_path):
    path = handmade.save_zip(tmp_path / "z", _arrays())
    code = "import sys; sys.modules['torch'] = None; from ganx.convert import read_tensors; read_tensors(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=120)


def _nvidia(path, arrays):
    return handmade.save_nvidia(path, {"G": handmade.module("G", arrays)})


def _tensorflow(path, arrays):
    return handmade.save_tensorflow(path, *[handmade.tf_network(arrays)] * 3)


def _safetensors(path, arrays):
    path.write_bytes(handmade.safetensors_bytes(arrays, dict.fromkeys(arrays, "F32")))
    return path


def _npz(path, arrays):
    np.savez(path.with_suffix(".npz"), **arrays)
    return path.with_suffix(".npz")


@pytest.mark.parametrize(
    "save",
    [handmade.save_zip, handmade.save_legacy, _nvidia, _tensorflow, _safetensors, _npz],
    ids=lambda f: f.__name__,
)
def test_reading_maps_the_file_and_copies_nothing(tmp_path, save):
    path = save(tmp_path / "a", {f"w{i}": np.full((1 << 10, 1 << 8), i, np.float32) for i in range(4)})
    read_source(path)
    tracemalloc.start()
    try:
        found = read_source(path).tensors
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert {float(array[-1, -1]) for array in found.values()} == {0.0, 1.0, 2.0, 3.0}
    assert peak < path.stat().st_size / 20


@pytest.mark.parametrize("raw", [b"", b"<html>Quota exceeded</html>", b"PK\x03\x04", bytes(100)])
def test_not_a_checkpoint(tmp_path, raw):
    (tmp_path / "a.pt").write_bytes(raw)
    with pytest.raises(GanxError, match=r"a\.pt: .*(download)"):
        read_tensors(tmp_path / "a.pt")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(GanxError, match="no checkpoint there"):
        read_tensors(tmp_path / "none.pt")
    with pytest.raises(GanxError, match="this folder holds none of"):
        read_tensors(tmp_path)


def test_the_shipped_file_and_its_twin_agree(shared):
    folder = shared / "data" / "face-dcgan32"
    _assert_same(read_tensors(folder / "generator.pt"), dict(np.load(folder / "generator.npz")))
