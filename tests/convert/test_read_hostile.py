"""Whatever a file holds, reading it ends soon in arrays or in one line, and runs nothing."""

import io
import json
import pickle
import struct
import time
import tracemalloc
import zipfile

import handmade
import numpy as np
import pytest
import watch

from ganx import GanxError
from ganx.convert import read_tensors

ARRAYS = {"a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "a.bias": np.ones(3, np.float16)}


@pytest.fixture(autouse=True)
def idle(tmp_path):
    """Fails the test if code is run, an unpickler asks for a class, or the canary file is made."""
    with watch.watching() as seen:
        yield
    forbidden = ("pickle.find_class", "os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.")
    assert [event for event in seen if event.startswith(forbidden)] == []
    assert not (tmp_path / "canary").exists()


def _refusal(path, seconds: float = 10.0, megabytes: int = 64) -> str:
    """The one line with which a file is refused: soon, and in bounded memory."""
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(GanxError) as caught:
            read_tensors(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < seconds
    assert peak < megabytes << 20
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _in_zip(tmp_path, value: bytes) -> str:
    return _refusal(handmade.zip_container(tmp_path / "z", value, {"0": bytes(96)}))


class _Attack:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def _touch(path: str) -> None:
    open(path, "w").close()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("nested", [False, True])
def test_a_call_is_refused_by_name(tmp_path, protocol, nested):
    attack = _Attack(_touch, str(tmp_path / "canary"))
    raw = pickle.dumps({"model": [attack]} if nested else attack, protocol)
    path = tmp_path / "z"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", raw)
    assert f"{__name__}._touch" in _refusal(path)


@pytest.mark.parametrize(
    "target",
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("subprocess", "Popen"),
        ("torch.serialization", "load"),
        ("torch", "FloatStorage.__class__"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
        ("collections", "OrderedDict.__init__"),
        ("ganx.convert.read", "read_tensors"),
        ("never\x1b[31m.was", "x" * 10_000),
    ],
)
def test_other_names_are_refused_wherever_they_stand(tmp_path, target):
    module, attribute = target
    shown = f"{module}.{attribute}".encode("unicode_escape").decode()[:100]
    call = handmade.call(handmade.name(*target), handmade.text("touch canary"))
    inst = b"(" + handmade.text("x") + f"i{module}\n{attribute}\n".encode()
    stacked = handmade.text(module) + handmade.text(attribute) + b"\x93"
    after_a_tensor = handmade.mapping({"w": handmade.plain("0", np.zeros(24, np.float32)), "x": call})
    for value in (call, inst, stacked, after_a_tensor):
        assert shown in _in_zip(tmp_path, value)
        (tmp_path / "l").write_bytes(handmade.legacy_bytes(value, {}))
        assert shown in _refusal(tmp_path / "l")
    for value in (call, inst, stacked):
        (tmp_path / "bare").write_bytes(handmade.pickle_of(value))
        assert shown in _refusal(tmp_path / "bare")


def test_a_refused_name_inside_nested_bytes(tmp_path):
    inner = handmade.legacy_bytes(handmade.call(handmade.name("os", "system"), handmade.text("true")), {})
    raw = b"B" + struct.pack("<I", len(inner)) + inner
    assert "os.system" in _in_zip(tmp_path, handmade.call(handmade.name("torch.storage", "_load_from_bytes"), raw))


ALLOWED = handmade.name("collections", "OrderedDict")
PARAMETER = handmade.name("torch._utils", "_rebuild_parameter")
DTYPE = handmade.name("numpy", "dtype")


@pytest.mark.parametrize(
    "value",
    {
        "extension": b"\x82\x01",
        "text persistent id": b"Pstorage\n",
        "odd persistent id": handmade.group(handmade.text("module")) + b"Q",
        "object of a class": b"(" + ALLOWED + b"o",
        "call of data": handmade.text("x") + handmade.group() + b"R",
        "state for an allowed function": PARAMETER + b"}(" + handmade.text("__code__") + b"Nub",
        "slots for an allowed function": PARAMETER + b"N" + handmade.mapping({"make": b"N"}) + b"\x86b",
        "state for an allowed class": ALLOWED + b"N" + handmade.mapping({"x": b"N"}) + b"\x86b",
        "state for a tensor": handmade.plain("0", np.zeros(24, np.float32)) + handmade.mapping({"a": b"N"}) + b"b",
        "items for a class": ALLOWED + handmade.text("a") + b"Ns",
        "object array": handmade.call(DTYPE, handmade.text("O8"), b"\x89", b"\x88"),
        "structured array": handmade.call(DTYPE, handmade.text("f4,O"), b"\x89", b"\x88"),
        "another codec": handmade.call(handmade.name("_codecs", "encode"), handmade.text("x"), handmade.text("zip")),
        "storage class called": handmade.call(handmade.name("torch", "FloatStorage"), handmade.number(1 << 60)),
        "empty stack": b"0",
        "missing mark": b"t",
        "missing memo": b"h\x05",
        "wrong operand": b"Na",
        "odd items": b"}(Nu" + b"(K\x01u",
    }.items(),
    ids=lambda case: case[0],
)
def test_misused_opcodes_are_refused(tmp_path, value):
    _in_zip(tmp_path, value[1])


@pytest.mark.parametrize(
    "value",
    {
        "memo index": b"Nr\xff\xff\xff\xff0",
        "bytes": b"B\xff\xff\xff\xff",
        "long bytes": b"\x8e" + struct.pack("<Q", 1 << 60),
        "long text": b"\x8d" + struct.pack("<Q", 1 << 60),
        "byte array": b"\x96" + struct.pack("<Q", 1 << 60),
        "frame": b"\x95" + struct.pack("<Q", 1 << 60) + b"N",
        "long integer": b"\x8b\xff\xff\xff\x7f",
        "decimal integer": b"L" + b"9" * 100_000 + b"L\n",
        "storage": handmade.tensor("0", "float32", 1 << 60, (1 << 60,), (1,)),
        "negative storage": handmade.tensor("0", "float32", -1, (1,), (1,)),
        "expanded": handmade.mapping({"w": handmade.tensor("0", "float32", 24, (1 << 40,), (0,))}),
        "many dimensions": handmade.tensor("0", "float32", 24, (1,) * 200, (0,) * 200),
        "dtype times text": handmade.call(
            handmade.name("torch._utils", "_rebuild_tensor"),
            handmade.storage("0", "float32", 24),
            b"K\0",
            handmade.group(handmade.number(1 << 40), handmade.text("aaaa")),
            handmade.sizes((1, 1)),
        ),
        "deep tuple as a key": b"}" + b")" + b"\x85" * 100_000 + b"Ns",
        "deep lists": b"](" * 50_000 + b"e" * 50_000,
        "shared lists": b"]q\0" + b"](h\0h\0eq\0" * 64,
        "a list within itself": b"]q\0h\0a",
        "copies of text": handmade.text("x" * 100_000)
        + b"q\0"
        + (handmade.name("_codecs", "encode") + b"(h\0tR") * 10_000,
    }.items(),
    ids=lambda case: case[0],
)
def test_absurd_sizes_are_refused_soon_and_cheaply(tmp_path, value):
    path = handmade.zip_container(tmp_path / "z", value[1], {"0": bytes(96)})
    _refusal(path, seconds=20.0)


def test_an_integer_of_a_million_bits(tmp_path):
    value = b"\x8b" + struct.pack("<i", 1 << 17) + b"\x7f" * (1 << 17)
    assert "large integer" in _in_zip(tmp_path, value)


LONG_LIST = b"](" + b"N" * 10_000 + b"eq\0"
COPY = handmade.name("torch", "Size") + b"(h\0tR0"


@pytest.mark.parametrize("value", [b"N0" * 600_000, LONG_LIST + COPY * 200], ids=["steps", "copies"])
def test_endless_work_is_refused(tmp_path, value):
    path = handmade.zip_container(tmp_path / "z", value, {})
    with pytest.raises(GanxError, match="far more work"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((25,), (1,), 0), ((24,), (1,), 1), ((2, 3), (20, 3), 0), ((2,), (-1,), 5), ((-2,), (1,), 0), ((0,), (1,), 25)],
)
def test_a_tensor_cannot_reach_outside_its_storage(tmp_path, size, stride, offset):
    value = handmade.tensor("0", "float32", 24, size, stride, offset)
    assert "tensor" in _in_zip(tmp_path, value)


def test_containers_nested_too_deep(tmp_path):
    inner = b""
    for _ in range(8):
        load = handmade.name("torch.storage", "_load_from_bytes")
        inner = handmade.legacy_bytes(handmade.call(load, b"B" + struct.pack("<I", len(inner)) + inner), {})
    (tmp_path / "l").write_bytes(inner)
    assert "nested too deep" in _refusal(tmp_path / "l")


def _zip_with(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, raw in members:
            archive.writestr(member, raw)
    return path


@pytest.mark.parametrize("name", ["/archive/x", "archive/../../x", "..\\x", "C:x", "\\\\host\\x"])
def test_members_that_point_elsewhere(tmp_path, name):
    members = [("archive/data.pkl", handmade.pickle_of(b"}")), (name, b"")]
    assert "points outside" in _refusal(_zip_with(tmp_path / "z", members))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_named_twice(tmp_path):
    members = [("archive/data.pkl", handmade.pickle_of(b"}"))] * 2
    assert "two members" in _refusal(_zip_with(tmp_path / "z", members))


def test_two_pickles_in_one_zip(tmp_path):
    members = [(f"{root}/data.pkl", handmade.pickle_of(b"}")) for root in "ab"]
    assert "more than one" in _refusal(_zip_with(tmp_path / "z", members))


def test_compressed_members_of_a_torch_zip(tmp_path):
    members = [("archive/data.pkl", handmade.pickle_of(b"}")), ("archive/data/0", bytes(1 << 24))]
    assert "compressed" in _refusal(_zip_with(tmp_path / "z", members, zipfile.ZIP_DEFLATED))


def test_a_zip_bomb_of_arrays(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", w=np.zeros(1 << 25, np.uint8))
    assert "more bytes" in _refusal(tmp_path / "bomb.npz", megabytes=16)


def test_a_missing_storage(tmp_path):
    assert "archive/data/9" in _in_zip(tmp_path, handmade.tensor("9", "float32", 1, (1,), (1,)))


def test_one_storage_described_in_two_ways(tmp_path):
    value = handmade.mapping({str(n): handmade.tensor("0", "float32", n, (n,), (1,)) for n in (4, 8)})
    assert "two ways" in _in_zip(tmp_path, value)


def test_big_endian_files(tmp_path):
    path = handmade.zip_container(tmp_path / "z", handmade.mapping({}), {}, {"byteorder": b"big"})
    assert "big-endian" in _refusal(path)
    (tmp_path / "l").write_bytes(handmade.legacy_bytes(handmade.mapping({}), {}, little_endian=False))
    assert "big-endian" in _refusal(tmp_path / "l")


def test_npz_with_objects_or_a_wrong_shape(tmp_path):
    np.savez(tmp_path / "o.npz", w=np.array([{}], object))
    assert "object" in _refusal(tmp_path / "o.npz")
    stream = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 60,)}
    np.lib.format.write_array_header_1_0(stream, header)
    assert "shape" in _refusal(_zip_with(tmp_path / "s.npz", [("w.npy", stream.getvalue() + bytes(64))]))


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 1 << 60]},
        {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
        {"dtype": "F32", "shape": [1 << 30, "aaaa"], "data_offsets": [0, 8]},
        {"dtype": "F4", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]},
        {"shape": [2]},
        [],
    ],
)
def test_safetensors_with_an_untrue_header(tmp_path, entry):
    raw = json.dumps({"w": entry}).encode()
    (tmp_path / "s").write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(8))
    _refusal(tmp_path / "s")


def test_safetensors_nested_without_end(tmp_path):
    raw = b'{"a":' + b"[" * 200_000
    (tmp_path / "s").write_bytes(struct.pack("<Q", len(raw)) + raw)
    _refusal(tmp_path / "s")


NVIDIA = {
    "in a network's state": lambda bad: handmade.module("G", attribute=bad),
    "among its modules": lambda bad: handmade.module("G", modules={"b4": bad}),
    "in a component": lambda bad: handmade.tf_network({}, {"mapping": bad}),
    "among the variables": lambda bad: handmade.tf_network([(handmade.text("a"), bad)]),
}


@pytest.mark.parametrize("place", NVIDIA)
@pytest.mark.parametrize("target", [("os", "system"), ("builtins", "eval"), ("torch_utils.persistence", "import_hook")])
def test_other_names_are_refused_in_networks_too(tmp_path, place, target):
    bad = handmade.call(handmade.name(*target), handmade.text("touch canary"))
    path = handmade.save_nvidia(tmp_path / "net.pkl", {"G": NVIDIA[place](bad)})
    assert f"{target[0]}.{target[1]}" in _refusal(path)


def test_a_refused_name_in_the_storage_of_a_network(tmp_path):
    inner = handmade.legacy_bytes(handmade.call(handmade.name("os", "system"), handmade.text("true")), {})
    load = handmade.call(handmade.name("torch.storage", "_load_from_bytes"), handmade.data(inner))
    path = handmade.save_nvidia(tmp_path / "net.pkl", {"G": handmade.module("G", weights=load)})
    assert "os.system" in _refusal(path)


def test_a_network_within_itself(tmp_path):
    loop = b"}q\0" + handmade.text("_modules") + b"}" + handmade.text("again") + b"h\0s" + b"s"
    assert "nested too deep" in _in_zip(tmp_path, loop)


def test_a_long_storage_read_again_and_again(tmp_path):
    """Each reading would copy a million booleans."""
    flags = np.ones(1 << 20, np.bool_)
    inner = handmade.legacy_bytes(handmade.storage("0", "bool", flags.size), {"0": flags})
    again = handmade.name("torch.storage", "_load_from_bytes") + b"(h\0tR0"
    (tmp_path / "net.pkl").write_bytes(handmade.pickle_of(handmade.data(inner) + b"q\0" + again * 1000 + b"0N"))
    assert "far more work" in _refusal(tmp_path / "net.pkl")


def test_two_tensors_of_one_name(tmp_path):
    one = handmade.plain("0", np.zeros(24, np.float32))
    value = handmade.mapping({"a.b": one, "a": handmade.mapping({"b": one})})
    assert "two of its tensors are named 'a.b'" in _in_zip(tmp_path, value)


@pytest.mark.parametrize("at", [0, 26, 30], ids=["signature", "length of the name", "name"])
def test_a_member_whose_own_header_differs(tmp_path, at):
    path = handmade.save_zip(tmp_path / "z", ARRAYS)
    raw = bytearray(path.read_bytes())
    start = raw.rfind(b"PK\x03\x04", 0, raw.find(b"archive/data/a.weight"))
    raw[start + at] ^= 1
    path.write_bytes(raw)
    assert "not where the index says" in _refusal(path)


@pytest.mark.parametrize("code", ["O", "V8", "U4", "S4", "M8[s]", "c8", "f16", "i3", ">f4,O"])
def test_wrong_dtypes(tmp_path, code):
    kind = handmade.call(handmade.name("numpy", "dtype"), handmade.text(code), b"\x89", b"\x88")
    assert "not a plain number" in _in_zip(tmp_path, kind)


def test_safetensors_that_names_a_tensor_twice(tmp_path):
    entry = '{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}'
    raw = ('{"w":' + entry % (0, 4) + ',"w":' + entry % (4, 8) + "}").encode()
    (tmp_path / "s").write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(8))
    assert "twice" in _refusal(tmp_path / "s")


@pytest.mark.parametrize("facts", ["[", "[]", '{"a":1,"a":2}', "[" * 100_000])
def test_safetensors_with_damaged_facts(tmp_path, facts):
    raw = json.dumps({"__metadata__": {"ganx.facts": facts}, "w": {}}).encode()
    (tmp_path / "s").write_bytes(struct.pack("<Q", len(raw)) + raw)
    _refusal(tmp_path / "s")
