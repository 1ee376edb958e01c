"""`zip:`: pictures in a zip, StyleGAN's convention or any other; and writing StyleGAN's."""

from __future__ import annotations

import json
import os
import threading
import zipfile
import zlib

import numpy as np
from tqdm import tqdm

from ganx.data.example import Source
from ganx.data.images import MEND, DecodeError, encode_png, reason
from ganx.data.listing import ListedReader, list_examples
from ganx.data.options import Options
from ganx.data.places import open_path
from ganx.errors import GanxError

_CHUNK = 256


class Archive:
    """Files of a zip, readable from many threads: each has its own handle."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._local = threading.local()
        self.names = [name for name in self._handle().namelist() if not name.endswith("/")]

    def read(self, name: str) -> bytes:
        """Content of one file. Raises `DecodeError` where the archive is damaged there."""
        try:
            return self._handle().read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise DecodeError(f"cannot read {self._place}/{name}: {reason(error)}; {MEND}") from None

    def _handle(self) -> zipfile.ZipFile:
        if not hasattr(self._local, "handle"):
            self._local.handle = self._open()
        return self._local.handle

    def _open(self) -> zipfile.ZipFile:
        path = open_path(self._place)
        if not path.exists():
            raise GanxError(f"{self._place} does not exist; give a zip of pictures")
        if path.is_dir():
            raise GanxError(f"{self._place} is a folder; open it as folder:{self._place}")
        try:
            return zipfile.ZipFile(path.open("rb"))
        except (zipfile.BadZipFile, OSError) as error:
            raise GanxError(f"{self._place} is no zip, or only part of one ({reason(error)}); get it again") from None


def zip_reader(place: str, options: Options) -> ListedReader:
    """Reads the pictures of a zip; `list_examples` says what its files mean."""
    archive = Archive(place)
    listing = list_examples(place, archive.names, archive.read, options.split)
    return ListedReader(place, listing, archive.read, options)


def write_stylegan_zip(source: Source, out: str | os.PathLike[str], progress: bool = False) -> None:
    """Writes a source as a zip that StyleGAN2-ADA and its successors read: stored PNGs and `dataset.json`.

    Masks and attributes have no place in that format and are left out.

    Args:
      source: square pictures whose side is a power of two.
      out: the zip; written beside it first, so that a broken run leaves nothing under this name.
      progress: show a bar on a terminal.

    Raises:
      GanxError: if the pictures are not square or their side is no power of two.
    """
    height, width = source.spec.shape[:2] if len(source.spec.shape) == 3 else (0, 1)
    if height != width or height & (height - 1):
        shape = "x".join(map(str, source.spec.shape[1::-1]))
        raise GanxError(f"StyleGAN zips hold squares with a power of two as side, not {shape}; add size=64 or the like")
    out = os.fspath(out)
    labels: list[list[object]] = []
    with zipfile.ZipFile(out + ".part", "w", zipfile.ZIP_STORED) as archive:
        for start in tqdm(range(0, len(source), _CHUNK), f"writing {out}", disable=None if progress else True):
            batch = source.gather(np.arange(start, min(start + _CHUNK, len(source))))
            for i, image in enumerate(batch.image, start):
                name = f"{i // 1000:05d}/img{i:08d}.png"
                archive.writestr(_entry(name), encode_png(image))
                labels.append([name, int(batch.label[i - start])])
        archive.writestr(_entry("dataset.json"), json.dumps(_labels(source, labels)))
    os.replace(out + ".part", out)


def _labels(source: Source, labels: list[list[object]]) -> dict[str, object]:
    if any(label == -1 for _, label in labels):
        return {"labels": None}
    return {"labels": labels, "label_names": list(source.spec.labels)}


def _entry(name: str) -> zipfile.ZipInfo:
    """A zip entry with a fixed date, so that the same source gives the same bytes."""
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
