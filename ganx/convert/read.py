"""`read_tensors`: any checkpoint container in, named numpy arrays out; nothing in the file is ever run."""

from __future__ import annotations

import os
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np

from ganx.convert import npz, safetensors, torch_legacy, torch_zip
from ganx.errors import GanxError

# One module a container: NAME, recognises(path, head), read(path). The first that recognises a file reads it.
CONTAINERS: tuple[ModuleType, ...] = (torch_zip, npz, safetensors, torch_legacy)
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


def read_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Every tensor of a checkpoint, by flat dotted name.

    The container is recognised by its content, never by the name of the file: PyTorch's zip and legacy formats,
    `.npz` and safetensors. Neither PyTorch nor any name in the file is imported.

    Returns:
      arrays of the stored shape and dtype (bfloat16 from `ml_dtypes`), not to be written to: they may share memory.

    Raises:
      GanxError: the file is missing, damaged, of another kind, or asks for anything but plain numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise GanxError(f"no checkpoint at {path}; give the path of a file")
    try:
        arrays = _container(path).read(path)
    except GanxError as error:
        raise GanxError(f"{path}: {error}") from error
    except MALFORMED as error:
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise GanxError(f"{path}: damaged or cut short ({detail}); download it again") from error
    if not arrays:
        raise GanxError(f"{path}: it holds no tensors")
    return arrays


def _container(path: Path) -> ModuleType:
    with path.open("rb") as file:
        head = file.read(HEAD)
    for container in CONTAINERS:
        if container.recognises(path, head):
            return container
    names = ", ".join(container.NAME for container in CONTAINERS)
    raise GanxError(f"not a checkpoint that ganx reads ({names}); the download may have failed")
