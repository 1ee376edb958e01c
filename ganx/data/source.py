"""Opening any source by the one string that names it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ganx.data import worlds
from ganx.data.celeba import celeba_reader
from ganx.data.classics import cifar_reader, idx_reader
from ganx.data.example import Source
from ganx.data.folder import folder_reader
from ganx.data.lsun import lsun_reader
from ganx.data.npz import npz_reader
from ganx.data.options import Address, Options, parse, typed
from ganx.data.places import open_path
from ganx.data.reader import PreparedSource, Reader
from ganx.data.record import record_reader
from ganx.data.tfds import tfds_reader
from ganx.data.zips import zip_reader
from ganx.errors import GanxError

_READERS: dict[str, Callable[[str, Options], Reader]] = {
    "folder": folder_reader,
    "zip": zip_reader,
    "npz": npz_reader,
    "record": record_reader,
    "tfds": tfds_reader,
    "idx": idx_reader,
    "cifar": cifar_reader,
    "celeba": celeba_reader,
    "lsun": lsun_reader,
}

_MARKS = {
    "meta.json": "record",
    "list_attr_celeba.txt": "celeba",
    "data.mdb": "lsun",
    "train-images-idx3-ubyte.gz": "idx",
    "train-images-idx3-ubyte": "idx",
}
"""Files by which a folder is recognised."""

_ENDINGS = {".zip": "zip", ".npz": "npz", ".tar.gz": "cifar", ".tgz": "cifar", "ubyte.gz": "idx", "ubyte": "idx"}


def open_source(text: str) -> Source:
    """Opens a source of images.

    `world:faces?size=32`, `folder:PATH`, `zip:PATH`, `npz:PATH`, `record:PATH` (what `prepare` writes),
    `tfds:NAME[/CONFIG]`, `idx:PATH` (MNIST), `cifar:PATH`, `celeba:PATH`, `lsun:PATH`; or a plain path, whose kind is
    found out. Options follow a `?` and are joined by `&`:

        size=N or WIDTHxHEIGHT    crop=none|N|center-square|center-crop-wide    resize=squash|shorter-side
        filter=lanczos|bilinear|box    channels=1|3    split=train|test|…|all    on_error=fail|skip
        attrs=hair(Black_Hair,Blond_Hair),Smiling    label=ATTRIBUTE    masks=NAME,NAME,…    ignore=INDEX

    Options of a world are its own, see `ganx.data.worlds`.

    Raises:
      GanxError: for an unknown option (the nearest is named), and for missing, empty or damaged data.
    """
    address = parse(text)
    if not address.scheme:
        address = dataclasses.replace(address, scheme=_recognise(address.place))
    if address.scheme == "world":
        return _world(address)
    options = typed(address.options)
    reader = _READERS[address.scheme](address.place, options)
    return PreparedSource(address.text, reader, options)


def _world(address: Address) -> Any:
    return worlds.world(address.place, **address.options)


def _recognise(place: str) -> str:
    """The scheme of a plain path."""
    path = open_path(place)
    if path.is_dir():
        inside = {name: scheme for name, scheme in _MARKS.items() if (path / name).exists()}
        return next(iter(inside.values()), "folder")
    if not path.exists():
        raise GanxError(f"no file or folder {place}; for a world write world:faces, for a TFDS set tfds:NAME")
    for ending, scheme in _ENDINGS.items():
        if place.lower().endswith(ending):
            return scheme
    raise GanxError(f"{place} is no kind of data known here; use a folder, {', '.join(_ENDINGS)}")
