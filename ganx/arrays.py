"""Files of arrays: whatever is wrong with one is said in one line."""

from __future__ import annotations

import zipfile
import zlib

import numpy as np
from etils import epath

from ganx.errors import GanxError


def read_npz(path: epath.PathLike, what: str, mend: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz file by name; nothing in it is executed.

    Args:
      what: what the file should hold, such as "statistics".
      mend: what to do if it does not, such as "write some with ganx segstats".

    Raises:
      GanxError: the file is missing, damaged, or holds Python objects: "PATH holds no WHAT (…); MEND".
    """
    try:
        with epath.Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise GanxError(f"{path} holds no {what} ({type(error).__name__}); {mend}") from None
