"""`read_source`: any checkpoint container in, named numpy arrays out; nothing in the file is ever run."""

from __future__ import annotations

import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from ganx.convert import folder, h5, npz, plain_pickle, safetensors, torch_legacy, torch_zip
from ganx.convert.keymap import Source
from ganx.errors import GanxError

# One module a container: NAME, recognises(path, head), read(path). The first that recognises a file reads it.
CONTAINERS: tuple[ModuleType, ...] = (torch_zip, npz, safetensors, h5, torch_legacy, plain_pickle)
HEAD = 16

# What the standard library and numpy raise on malformed bytes. Anything else is a fault of ganx and shows.
MALFORMED = (
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_source(path: str | os.PathLike[str]) -> Source:
    """Every tensor of a checkpoint, by flat dotted name, and the facts that stand beside them.

    The container is recognised by its content, never by the name of the file: PyTorch's zip and legacy formats,
    NVIDIA's `.pkl` from PyTorch and TensorFlow, safetensors, `.npz` and `.h5`; or a folder with Hugging Face's
    `config.json` and weights, or with `G_ema.pth`, `G.pth` and `D.pth`. No name in the file is ever imported.

    Returns:
      arrays of the stored shape and dtype (bfloat16 from `ml_dtypes`), not to be written to: they may be views on the
      file, which must stay as it is while they live.

    Raises:
      GanxError: the file is missing, damaged, of another kind, or asks for anything but plain numbers.
    """
    path = Path(path)
    try:
        if path.is_dir():
            source = folder.joined({prefix: _read(file) for prefix, file in folder.files(path).items()}, {})
        elif path.is_file():
            source = _read(path)
        else:
            raise GanxError("no checkpoint there; give the path of a file or folder")
    except GanxError as error:
        raise GanxError(f"{path}: {error}") from error
    except MALFORMED as error:
        raise GanxError(f"{path}: damaged or cut short ({in_brief(error)}); download it again") from error
    if not source.tensors:
        raise GanxError(f"{path}: it holds no tensors")
    for name in source.tensors:
        if not name.isprintable():  # names are shown, and a terminal obeys what it is shown
            raise GanxError(f"{path}: refused: a tensor is named {name[:80]!r}")
    return source


def in_brief(error: BaseException) -> str:
    """The kind of an exception and the beginning of its message, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]


def read_tensors(path: str | os.PathLike[str]) -> Mapping[str, np.ndarray]:
    """The tensors of `read_source`."""
    return read_source(path).tensors


def _read(path: Path) -> Source:
    source = _container(path).read(path)
    facts = folder.config_beside(path)
    return folder.joined({"": source}, facts) if facts else source


def _container(path: Path) -> ModuleType:
    with path.open("rb") as file:
        head = file.read(HEAD)
    for container in CONTAINERS:
        if container.recognises(path, head):
            return container
    names = ", ".join(container.NAME for container in CONTAINERS)
    raise GanxError(f"not a checkpoint that ganx reads ({names}); the download may have failed")
