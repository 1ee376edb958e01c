"""The bytes of a file, mapped instead of read, and a stream over them that hands out long runs without copying."""

from __future__ import annotations

import mmap
from pathlib import Path

Bytes = bytes | memoryview
# Shorter runs become `bytes`, which are friendlier; longer ones hold weights and are only looked at.
LONG = 4096
MAX_ENTRIES = 100_000  # names in one file, many times those of any network


def mapped(path: Path) -> memoryview:
    """A file's bytes, read-only; the operating system fetches what is touched and may drop it again."""
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


class ByteStream:
    """What `pickletools` and numpy's header readers need of a file, over bytes in memory."""

    def __init__(self, raw: Bytes) -> None:
        self._view = memoryview(raw)
        self._at = 0

    def tell(self) -> int:
        """The position of the next byte."""
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """The next `size` bytes, fewer at the end; all that are left if it is negative."""
        return bytes(self._next(size if size >= 0 else len(self._view)))

    def readline(self) -> bytes:
        """The bytes up to and including the next newline, or to the end."""
        start, length = self._at, 256
        while True:
            chunk = bytes(self._view[start : start + length])
            end = chunk.find(b"\n") + 1
            if end or len(chunk) < length:
                self._at = start + (end or len(chunk))
                return chunk[:end] if end else chunk
            length *= 4

    def take(self, size: int) -> Bytes:
        """The next `size` bytes and not one fewer; a view where they are many."""
        found = self._next(size)
        if len(found) < size:
            raise EOFError(f"{size} bytes promised, {len(found)} left")
        return found if size >= LONG else bytes(found)

    def _next(self, size: int) -> memoryview:
        found = self._view[self._at : self._at + max(size, 0)]
        self._at += len(found)
        return found
