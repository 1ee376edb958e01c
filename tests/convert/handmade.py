"""Checkpoints put together byte by byte, so that the tests of the reader mean something without PyTorch.

A value is the opcodes that build it; `zip_container` and `legacy_container` wrap a value and its storages.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

STORAGES = {"float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "bool": "Bool"}
MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
PROTOCOL = b"\x80\x02M\xe9\x03."


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def group(*values: bytes) -> bytes:
    return b"(" + b"".join(values) + b"t"


def sizes(values: tuple[int, ...]) -> bytes:
    return group(*map(number, values))


def mapping(entries: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + group(*arguments) + b"R"


def storage(key: str, dtype: str, numel: int) -> bytes:
    kind = name("torch", f"{STORAGES[dtype]}Storage")
    return group(text("storage"), kind, text(key), text("cuda:0"), number(numel)) + b"Q"


def tensor(key: str, dtype: str, numel: int, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    hooks = call(name("collections", "OrderedDict"))
    window = (storage(key, dtype, numel), number(offset), sizes(size), sizes(stride))
    return call(name("torch._utils", "_rebuild_tensor_v2"), *window, b"\x89", hooks)


def plain(key: str, array: np.ndarray) -> bytes:
    """A contiguous tensor that owns its storage."""
    strides = tuple(s // array.itemsize for s in np.ascontiguousarray(array).reshape(array.shape).strides)
    return tensor(key, array.dtype.name, array.size, array.shape, strides)


def pickle_of(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def zip_container(
    path: Path, value: bytes, storages: Mapping[str, bytes], extra: Mapping[str, bytes] | None = None
) -> Path:
    members = {"data.pkl": pickle_of(value), "byteorder": b"little", "version": b"3\n", **(extra or {})}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member, raw in members.items():
            archive.writestr(f"archive/{member}", raw)
        for key, raw in storages.items():
            archive.writestr(f"archive/data/{key}", raw)
    return path


def legacy_bytes(value: bytes, storages: Mapping[str, np.ndarray], little_endian: bool = True) -> bytes:
    stream = io.BytesIO()
    facts = mapping({"protocol_version": number(1001), "little_endian": b"\x88" if little_endian else b"\x89"})
    keys = b"](" + b"".join(map(text, storages)) + b"e"
    for part in (MAGIC, PROTOCOL, pickle_of(facts), pickle_of(value), pickle_of(keys)):
        stream.write(part)
    for array in storages.values():
        stream.write(struct.pack("<q", array.size) + array.tobytes())
    return stream.getvalue()


def legacy_container(path: Path, value: bytes, storages: Mapping[str, np.ndarray]) -> Path:
    path.write_bytes(legacy_bytes(value, storages))
    return path


def save_zip(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """A state dict in the zip container."""
    value = mapping({key: plain(key, array) for key, array in arrays.items()})
    return zip_container(path, value, {key: array.tobytes() for key, array in arrays.items()})


def save_legacy(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """A state dict in the legacy container."""
    value = mapping({key: plain(key, array) for key, array in arrays.items()})
    return legacy_container(path, value, arrays)


def safetensors_bytes(arrays: Mapping[str, np.ndarray], types: Mapping[str, str]) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    blob = b""
    for key, array in arrays.items():
        start, blob = len(blob), blob + array.tobytes()
        header[key] = {"dtype": types[key], "shape": list(array.shape), "data_offsets": [start, len(blob)]}
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + blob


def data(raw: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(raw)) + raw


def value(thing: object) -> bytes:
    """Plain data as opcodes; bytes are taken to be opcodes already."""
    if isinstance(thing, bytes):
        return thing
    if thing is None or isinstance(thing, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[thing]
    if isinstance(thing, int):
        return number(thing)
    if isinstance(thing, float):
        return b"G" + struct.pack(">d", thing)
    if isinstance(thing, str):
        return text(thing)
    if isinstance(thing, dict):
        return mapping({key: value(item) for key, item in thing.items()})
    if isinstance(thing, list):
        return b"](" + b"".join(map(value, thing)) + b"e"
    if isinstance(thing, tuple):
        return group(*map(value, thing))
    assert isinstance(thing, np.ndarray)
    return numpy_array(thing)


def numpy_array(array: np.ndarray) -> bytes:
    order = "|" if array.itemsize == 1 else "<"
    kind = call(name("numpy", "dtype"), text(array.dtype.str[1:]), b"\x89", b"\x88")
    kind += group(number(3), text(order), b"NNN", b"J\xff\xff\xff\xff" * 2, b"K\0") + b"b"
    empty = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), sizes((0,)), data(b"b"))
    return empty + group(number(1), sizes(array.shape), kind, b"\x89", data(array.tobytes())) + b"b"


def nested_tensor(array: np.ndarray) -> bytes:
    """A tensor as `pickle.dump` writes it: its storage in a legacy container of its own."""
    array = np.ascontiguousarray(array).reshape(array.shape)
    inner = legacy_bytes(storage("0", array.dtype.name, array.size), {"0": array})
    strides = tuple(s // array.itemsize for s in array.strides)
    nested = call(name("torch.storage", "_load_from_bytes"), data(inner))
    window = (nested, number(0), sizes(array.shape), sizes(strides), b"\x89", call(name("collections", "OrderedDict")))
    return call(name("torch._utils", "_rebuild_tensor_v2"), *window)


def module(
    kind: str,
    parameters: Mapping[str, np.ndarray] | None = None,
    buffers: Mapping[str, np.ndarray] | None = None,
    modules: Mapping[str, bytes] | None = None,
    source: str = "import os; os.system('touch canary')",
    **attributes: object,
) -> bytes:
    """A network as NVIDIA's PyTorch code pickles it, with its source."""
    state = {
        "training": False,
        "_parameters": {k: nested_tensor(v) for k, v in (parameters or {}).items()},
        "_buffers": {k: nested_tensor(v) for k, v in (buffers or {}).items()},
        "_modules": dict(modules or {}),
        "_backward_hooks": call(name("collections", "OrderedDict")),
        **attributes,
    }
    meta = {"type": "class", "version": 6, "module_src": source, "class_name": kind, "state": state}
    easy = name("dnnlib.util", "EasyDict") + b")\x81" + value(meta)[1:]  # a dict's items, set on another class
    return call(name("torch_utils.persistence", "_reconstruct_persistent_obj"), easy)


def tf_network(variables: object, components: Mapping[str, bytes] | None = None, **state) -> bytes:
    """A network as NVIDIA's TensorFlow code pickles it; `variables` are arrays by name."""
    fields = {
        "version": 4,
        "name": "G",
        "static_kwargs": {"resolution": 8},
        "components": dict(components or {}),
        "build_module_src": "import os; os.system('touch canary')",
        "build_func_name": "G_main",
        "variables": list(variables.items()) if isinstance(variables, dict) else variables,
        **state,
    }
    return name("dnnlib.tflib.network", "Network") + b")\x81" + value(fields) + b"b"


def save_nvidia(path: Path, networks: Mapping[str, bytes], **rest: object) -> Path:
    """A `.pkl` of stylegan2-ada-pytorch or stylegan3."""
    path.write_bytes(pickle_of(value({**networks, **rest})))
    return path


def save_tensorflow(path: Path, *networks: bytes) -> Path:
    """A `.pkl` of the TensorFlow code: generator, discriminator, averaged generator."""
    path.write_bytes(pickle_of(group(*networks)))
    return path
