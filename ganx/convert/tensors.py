"""What a PyTorch pickle is made of: storages, tensors that look into them, numpy values, as plain data."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import ml_dtypes
import numpy as np

from ganx.convert.bytestream import Bytes
from ganx.convert.pickles import Stub
from ganx.errors import GanxError

DTYPES = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}
MAX_DIMS = 32


@dataclasses.dataclass(eq=False)
class Storage:
    """A run of `numel` numbers. Its bytes may stand later in the file than the tensors that look into it."""

    dtype: np.dtype
    numel: int
    data: np.ndarray | None = None
    base: Storage | None = None  # for a view: the storage that it is part of, from `start` on
    start: int = 0

    def fill(self, raw: Bytes, start: int = 0) -> int:
        """Takes its numbers from `raw[start:]`, without copying; returns where they end."""
        end = start + self.numel * self.dtype.itemsize
        if end > len(raw):
            raise GanxError(f"a storage promises {self.numel:,} numbers but the file holds fewer; download it again")
        self.data = from_bytes(raw, self.dtype, self.numel, start)
        return end

    def view(self, offset: int, numel: int) -> Storage:
        """Part of a storage, whether or not its numbers have been read."""
        if not 0 <= offset <= offset + numel <= self.numel:
            raise GanxError("a storage view reaches outside its storage")
        return Storage(self.dtype, numel, base=self, start=offset)

    def numbers(self) -> np.ndarray:
        """Its numbers `[numel]`, not to be written to."""
        if self.base is not None:
            return self.base.numbers()[self.start : self.start + self.numel]
        if self.data is None:
            raise GanxError("the file lacks the numbers of a tensor; download it again")
        return self.data


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """A strided window on a storage, in elements; checked when made, looked through by `array`."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of a contiguous copy."""
        return math.prod(self.size) * self.storage.dtype.itemsize

    def array(self) -> np.ndarray:
        """A read-only view."""
        numbers = self.storage.numbers()
        if 0 in self.size:
            return np.empty(self.size, numbers.dtype)
        steps = [s * numbers.itemsize if n > 1 else 0 for n, s in zip(self.size, self.stride, strict=True)]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.size, steps, writeable=False)


def rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """`torch._utils._rebuild_tensor(_v2)`: refuses a window that reaches outside its storage."""
    if not isinstance(storage, Storage) or not all(is_shape(numbers) for numbers in ((offset,), size, stride)):
        raise GanxError("a tensor is described by something other than sizes and strides")
    if len(size) != len(stride):
        raise GanxError("a tensor has more sizes than strides, or fewer")
    reach = sum((n - 1) * s for n, s in zip(size, stride, strict=True)) + 1 if 0 not in size else 0
    if offset + reach > storage.numel:
        raise GanxError("a tensor reaches outside its storage; the file is damaged or was made to do harm")
    return Tensor(storage, offset, tuple(size), tuple(stride))


class NumpyDtype(Stub):
    """`numpy.dtype(code, align, copy)`: plain numbers only."""

    def __init__(self, code: str, *_: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[<>|=]?(b1|[iu][1248]|f[248])", code):
            raise GanxError(f"refused: a numpy array of dtype {code!r}, which is not a plain number")
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        _, order, *fields = state
        if order not in ("<", ">", "|", "=") or any(field is not None for field in fields[:3]):
            raise GanxError("refused: a numpy dtype that is not a plain number")
        self.dtype = self.dtype.newbyteorder(order)


class NumpyArray(Stub):
    """`numpy.core.multiarray._reconstruct(ndarray, (0,), b"b")`, then its state."""

    def __init__(self, *_: Any) -> None:
        self.array = np.empty(0, np.uint8)

    def set_state(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, NumpyDtype) or not isinstance(raw, bytes | memoryview | str) or not is_shape(shape):
            raise GanxError("refused: a numpy array of something other than plain numbers")
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw  # how Python 2 wrote bytes
        count = math.prod(shape)
        if len(raw) != count * dtype.dtype.itemsize:
            raise GanxError("a numpy array is longer or shorter than its shape")
        self.array = from_bytes(raw, dtype.dtype, count).reshape(shape, order="F" if fortran else "C")


def numpy_frombuffer(raw: Any, dtype: Any, shape: Any, order: Any) -> NumpyArray:
    """`numpy.core.numeric._frombuffer(buffer, dtype, shape, order)`: an array as pickle protocol 5 writes it."""
    if order not in ("C", "F"):
        raise GanxError("refused: a numpy array in an unknown order")
    array = NumpyArray()
    array.set_state((1, shape, dtype, order == "F", raw))
    return array


def numpy_scalar(dtype: Any, raw: Any) -> Any:
    """`numpy.core.multiarray.scalar(dtype, bytes)`: a Python number."""
    array = NumpyArray()
    array.set_state((1, (), dtype, False, raw))
    return array.array.item()


def is_shape(numbers: Any) -> bool:
    """Whether it is a short row of whole numbers, none negative."""
    if not isinstance(numbers, list | tuple) or len(numbers) > MAX_DIMS:
        return False
    return all(type(n) is int and n >= 0 for n in numbers)


def from_bytes(raw: Bytes, dtype: np.dtype, count: int, start: int = 0) -> np.ndarray:
    """`count` numbers out of `raw`, read-only and without copying (booleans aside); `raw` must hold them."""
    if count == 0:
        return np.empty(0, dtype)
    if dtype == np.bool_:  # a byte other than 0 and 1 is no valid bool in memory
        return np.frombuffer(raw, np.uint8, count, start) != 0
    return np.frombuffer(raw, dtype, count, start)
