"""Thousands of damaged checkpoints of every kind: each ends in arrays or in one line, soon, cheaply and idly."""

import io
import itertools
import os
import pickle
import random
import resource
import struct
import time
import tracemalloc
import zipfile

import handmade
import numpy as np
import pytest
import watch

from ganx import GanxError
from ganx.convert import read_source

pytestmark = pytest.mark.filterwarnings("ignore")  # invalid escapes in mutated texts

ARRAYS = {"a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "a.bias": np.ones(3, np.float16)}
SECONDS = 3.0
MEGABYTES = 8


def _network(kind: str = "Generator") -> bytes:
    inner = handmade.module("Layer", {"w": ARRAYS["a.weight"]}, {"mask": np.ones(2, np.bool_)}, up=2, gain=1.5)
    return handmade.module(kind, modules={"b4": inner}, z_dim=4, sizes=(4, 8), _init_kwargs={"a": {"b": "c"}})


def _containers(folder) -> dict[str, bytes]:
    """One small file of every kind."""
    handmade.save_zip(folder / "zip", ARRAYS)
    handmade.save_legacy(folder / "legacy", ARRAYS)
    np.savez(folder / "stored.npz", **ARRAYS)
    np.savez_compressed(folder / "deflated.npz", **ARRAYS)
    types = {"a.weight": "F32", "a.bias": "F16"}
    (folder / "safetensors").write_bytes(handmade.safetensors_bytes(ARRAYS, types))
    handmade.save_nvidia(folder / "nvidia", {"G_ema": _network(), "D": _network("Discriminator")}, kimg=25.0)
    part = handmade.tf_network({"Dense0/weight": ARRAYS["a.weight"]})
    whole = handmade.tf_network({"lod": np.zeros((), np.float32)}, {"mapping": part})
    handmade.save_tensorflow(folder / "tensorflow", whole, part, whole)
    (folder / "protocol5").write_bytes(pickle.dumps({"w": list(range(9)), "x": (1.5, None, {"y": b"z"})}, 5))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def containers(tmp_path_factory):
    return _containers(tmp_path_factory.mktemp("containers"))


LENGTHS = [struct.pack("<I", n) for n in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)]
LENGTHS += [struct.pack("<Q", n) for n in (0, 1 << 31, 1 << 60, (1 << 64) - 1)]
LENGTHS += [struct.pack(">I", 1 << 30), b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"999999999"]
OPCODES = [b"Q", b"tR", b"b", b".", b"0", b"h\x00", b"q\x01", b"\x93", b"\x81", b"N", b"}", b"]", b"(", b"\x85", b"2"]


def _mutant(rng: random.Random, raw: bytes, others: list[bytes]) -> bytes:
    """Bytes flipped, lost, inserted and repeated, lengths made absurd, opcodes strewn in, ends cut, files spliced."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 12))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(9)
        if kind == 0:
            data[at : at + 1] = rng.randbytes(1)
        elif kind == 1:
            data[at : at + 1] = bytes(b ^ 1 << rng.randrange(8) for b in data[at : at + 1])
        elif kind == 2:
            del data[at : at + rng.randrange(1, 9)]
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 4:
            length = rng.choice(LENGTHS)
            data[at : at + len(length)] = length
        elif kind == 5:
            data[at:at] = rng.choice(OPCODES)
        elif kind == 6:
            data[at:at] = data[at : at + rng.randrange(1, 64)]
        elif kind == 7 and rng.random() < 0.3:
            del data[at:]
        elif kind == 8:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            data[at : at + rng.randrange(64)] = other[start : start + rng.randrange(64)]
    return bytes(data)


class _Judge:
    """Reads files and counts the survivors; anything but arrays or one line fails the test."""

    def __init__(self, path) -> None:
        self.path, self.read, self.survivors = path, 0, 0

    def judge(self, raw: bytes) -> None:
        self.path.write_bytes(raw)
        measured = self.read % 25 == 0  # tracing memory is slow
        if measured:
            tracemalloc.start()
        start = time.process_time()
        with watch.watching() as seen:
            line = self._outcome()
        assert time.process_time() - start < SECONDS
        if measured:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < MEGABYTES << 20
        assert seen == []
        assert "\n" not in line
        self.read += 1
        self.survivors += not line

    def _outcome(self) -> str:
        try:
            for array in read_source(self.path).tensors.values():
                array.tobytes()
        except GanxError as refusal:
            return str(refusal)
        return ""


@pytest.fixture
def judge(tmp_path, containers):
    judge = _Judge(tmp_path / "mutant")
    b"".decode("cp437")  # what reading imports once, it imports here
    for raw in containers.values():
        judge.path.write_bytes(raw)
        judge._outcome()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield judge
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 128 << 10  # kilobytes
    assert os.listdir(tmp_path) == ["mutant"]
    assert 0 < judge.survivors < judge.read  # the mutants are neither all harmless nor all hopeless


def test_the_watch_sees_what_an_unpickler_would_do(tmp_path):
    path = tmp_path / "canary"
    with watch.watching() as seen:
        pickle.loads(
            handmade.pickle_of(handmade.call(handmade.name("builtins", "open"), *map(handmade.text, (str(path), "w"))))
        )
        os.system("true")
        exec("1")
    assert {event.split()[0] for event in seen} >= {"pickle.find_class", "open", "os.system", "exec"}


def test_the_samples_are_sound(containers, tmp_path):
    for name, raw in containers.items():
        (tmp_path / name).write_bytes(raw)
        if name == "protocol5":  # plain data, no tensors
            continue
        assert any(np.array_equal(a, ARRAYS["a.weight"]) for a in read_source(tmp_path / name).tensors.values()), name


def test_mutants_of_every_container(judge, containers):
    rng = random.Random(0)
    for _, raw in itertools.product(range(450), containers.values()):
        judge.judge(_mutant(rng, raw, list(containers.values())))


def test_every_truncation(judge, containers):
    judge.survivors = 1  # none is to survive, but for what follows the last storage
    for raw in containers.values():
        for length in range(0, len(raw), 11):
            judge.judge(raw[:length])
    assert judge.survivors <= 1 + len(containers)


def _packed(members: list[tuple[str, bytes]], path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for member, raw in members:
            archive.writestr(member, raw)
    return path.read_bytes()


def test_mutants_behind_a_valid_checksum(judge, containers, tmp_path_factory):
    """In a zip the checksum catches most damage, so here members are damaged before they are packed."""
    rng, scratch = random.Random(1), tmp_path_factory.mktemp("zip") / "z"
    value = handmade.mapping({key: handmade.plain(key, array) for key, array in ARRAYS.items()})
    members = [(f"r/data/{key}", array.tobytes()) for key, array in ARRAYS.items()]
    with zipfile.ZipFile(io.BytesIO(containers["stored.npz"])) as archive:
        npy = archive.read("a.weight.npy")
    others = list(containers.values())
    for _ in range(900):
        pkl = ("r/data.pkl", _mutant(rng, handmade.pickle_of(value), others))
        judge.judge(_packed([pkl, *members], scratch))
        judge.judge(_packed([("a.npy", _mutant(rng, npy, others))], scratch))


@pytest.fixture
def h5py():
    return pytest.importorskip("h5py")


def test_mutants_of_h5(h5py, judge, tmp_path_factory):
    path = tmp_path_factory.mktemp("h5") / "weights.h5"
    with h5py.File(path, "w") as file:
        file.create_group("model/conv1")["kernel:0"] = ARRAYS["a.weight"]
    rng, raw = random.Random(2), path.read_bytes()
    judge.path.write_bytes(raw)
    judge._outcome()
    for _ in range(300):
        judge.judge(_mutant(rng, raw, [raw]))
