"""Zip files, opened without trusting what they say about themselves."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from pathlib import Path

from ganx.convert.bytestream import MAX_ENTRIES, Bytes, mapped
from ganx.errors import GanxError

MAGIC = b"PK\x03\x04"
# Weights hardly compress. Deflate can promise a thousandfold, which is what a zip bomb does.
MAX_EXPANSION = 20


class Archive:
    """A zip file that has been checked: unique plain names, no encryption, a bounded size once unpacked.

    Args:
      path: the file.
      compressed: whether members may be deflated; otherwise they are stored as they are and cannot overlap.
    """

    def __init__(self, path: Path, compressed: bool) -> None:
        self._zip = zipfile.ZipFile(path)
        self._raw = mapped(path)
        self.size = len(self._raw)
        self.members: dict[str, zipfile.ZipInfo] = {}
        if len(self._zip.infolist()) > MAX_ENTRIES:
            raise GanxError("it has too many entries to be a checkpoint")
        for info in self._zip.infolist():
            _check(info, compressed)
            if info.filename in self.members:
                raise GanxError(f"refused: two members are named {info.filename[:80]!r}")
            self.members[info.filename] = info
        total = sum(info.file_size for info in self.members.values())
        if total > self.size * (MAX_EXPANSION if compressed else 1):
            raise GanxError("refused: its members claim far more bytes than the file can hold")

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def read(self, name: str) -> Bytes:
        """All bytes of a member, checked against its checksum; a view on the file where it is not compressed."""
        if name not in self.members:
            raise GanxError(f"it lacks the member {name[:80]!r}; download it again")
        info = self.members[name]
        if info.compress_type == zipfile.ZIP_STORED:
            return self._stored(info)
        with self._zip.open(info) as member:
            raw = member.read(info.file_size)  # never asks for more than promised, whatever the data inflate to
        if len(raw) != info.file_size:
            raise GanxError(f"its member {name[:80]!r} is cut short; download it again")
        return raw

    def _stored(self, info: zipfile.ZipInfo) -> memoryview:
        """What `zipfile` would read, without copying: after the member's own header, which names it again."""
        at = info.header_offset
        sizes = struct.unpack_from("<HH", self._raw, at + 26)  # of the name and of the extra field
        start = at + 30 + sum(sizes)
        name = bytes(self._raw[at + 30 : at + 30 + sizes[0]])
        if self._raw[at : at + 4] != MAGIC or name != info.orig_filename.encode("utf-8" if _is_utf8(info) else "cp437"):
            raise GanxError(f"its member {info.filename[:80]!r} is not where the index says; download it again")
        data = self._raw[start : start + info.file_size]
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise GanxError(f"its member {info.filename[:80]!r} is damaged or cut short; download it again")
        return data


def _is_utf8(info: zipfile.ZipInfo) -> bool:
    return bool(info.flag_bits & 0x800)


def member_names(path: Path) -> list[str]:
    """The names in a zip file, unchecked, to recognise it by."""
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def _check(info: zipfile.ZipInfo, compressed: bool) -> None:
    name = info.filename
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name:
        raise GanxError(f"refused: the member {name[:80]!r} points outside the archive")
    if info.flag_bits & 0x1:
        raise GanxError("refused: it is encrypted; unpack it first")
    if info.compress_type == zipfile.ZIP_DEFLATED and compressed:
        return
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise GanxError(f"refused: the member {name[:80]!r} is compressed in a way that this format does not use")
