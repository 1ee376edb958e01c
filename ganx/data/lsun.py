"""`lsun:`: a category of LSUN as its authors distribute it, an LMDB of encoded pictures."""

from __future__ import annotations

import importlib
from typing import Any

from ganx.data.images import decode, measure
from ganx.data.licences import LICENCES
from ganx.data.options import Options
from ganx.data.places import open_path
from ganx.data.reader import Raw, Stored
from ganx.errors import GanxError


class LmdbReader:
    """A `Reader` of the pictures in an LMDB, in the order of their keys."""

    def __init__(self, place: str, environment: Any, keys: list[bytes]) -> None:
        self._place = place
        self._environment = environment
        self._keys = keys
        self.stored = Stored(measure(self._data(0), self.name(0)), licence=LICENCES["lsun"])

    def __len__(self) -> int:
        return len(self._keys)

    def name(self, index: int) -> str:
        """The database and the picture's key."""
        return f"{self._place}/{self._keys[index].decode('ascii', 'replace')}"

    def read(self, index: int) -> Raw:
        """One example. Raises `DecodeError` if its picture is broken."""
        return Raw(decode(self._data(index), self.name(index)))

    def _data(self, index: int) -> bytes:
        with self._environment.begin() as transaction:
            return bytes(transaction.get(self._keys[index]))


def lsun_reader(place: str, options: Options) -> LmdbReader:
    """Reads a folder such as `church_outdoor_train_lmdb`. Its pictures differ in size, so ask for one.

    Raises:
      GanxError: if the folder or the package `lmdb` is missing, or the database is damaged or empty.
    """
    if options.split not in (None, "all"):
        raise GanxError(f"split={options.split}: an LSUN folder is one split; name the other folder instead")
    if not (open_path(place) / "data.mdb").is_file():
        raise GanxError(f"no data.mdb in {place}; unpack the LSUN zip and give the folder it makes")
    try:
        lmdb = importlib.import_module("lmdb")
    except ImportError:
        raise GanxError("reading LSUN needs the package lmdb; install it with: pip install lmdb") from None
    try:
        environment = lmdb.open(str(open_path(place)), readonly=True, lock=False, readahead=False)
        with environment.begin() as transaction:
            keys = list(transaction.cursor().iternext(keys=True, values=False))
    except lmdb.Error as error:
        raise GanxError(f"cannot read {place}: {error}; get the folder again") from None
    if not keys:
        raise GanxError(f"{place} is an empty database; get the folder again")
    return LmdbReader(place, environment, keys)
