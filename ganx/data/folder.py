"""`folder:`: pictures in a directory tree."""

from __future__ import annotations

from etils import epath

from ganx.data.images import DecodeError, reason
from ganx.data.listing import ListedReader, list_examples
from ganx.data.options import Options
from ganx.data.places import open_path
from ganx.errors import GanxError


def folder_reader(place: str, options: Options) -> ListedReader:
    """Reads the pictures under a directory, local or `gs://`; `list_examples` says what its files mean.

    Raises:
      GanxError: if there is no such directory, it cannot be read or holds no pictures.
    """
    root = open_path(place)
    if not root.is_dir():
        kind = "is a file, not a folder" if root.exists() else "does not exist"
        raise GanxError(f"{place} {kind}; give a folder of pictures")

    def read(name: str) -> bytes:
        try:
            return (root / name).read_bytes()
        except OSError as error:
            raise DecodeError(f"cannot read {root / name}: {reason(error)}; check the file") from None

    listing = list_examples(place, _files(root), read, options.split)
    return ListedReader(place, listing, read, options)


def _files(root: epath.Path) -> list[str]:
    prefix = len(str(root).rstrip("/")) + 1
    found = []
    for folder, _, files in root.walk():
        inner = str(folder)[prefix:]
        found += [f"{inner}/{name}" if inner else name for name in files]
    return found
