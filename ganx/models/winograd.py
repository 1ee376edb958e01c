"""Minimal filtering (Winograd 1980; Lavin and Gray 2016): fewer products for small kernels, at float32's own accuracy.

Along each axis a tile of two outputs of an r-tap correlation takes r + 1 products instead of 2 r:

    y = A [(G k) * (B x)]        x: r + 1 samples, k: r taps, y: 2 outputs

so in two dimensions 16 products replace 36 (3 x 3, stride 1), and 9 replace 16 (2 x 2). A 4 x 4 kernel of stride 2 is a
2 x 2 kernel of stride 1 over the four phases of its input. The products over channels become matrix products, one for
each of the (r + 1)² places of a tile. The three operations of `correlate` are the same trilinear form, read in the
three directions. All entries of A, B and G are 0, 1/2 or 1 in size: errors stay where direct summation has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

Row = tuple[float, ...]
Square = list[list[jax.Array]]
_BAND = 5 * 2**20  # samples
_FEW = 256  # outputs, by measurement
_BANDS = 4  # at most, for each costs as much compile time as all in one
_kept = jax.lax.optimization_barrier  # what is read many times is computed once


class Scheme(NamedTuple):
    """The matrices A `[2, k]`, B `[k, k]` and G `[k, r]` of one axis, k = r + 1."""

    a: tuple[Row, ...]
    b: tuple[Row, ...]
    g: tuple[Row, ...]


TWO = Scheme(
    a=((1, 1, 0), (0, 1, 1)),
    b=((1, -1, 0), (0, 1, 0), (0, -1, 1)),
    g=((1, 0), (1, 1), (0, 1)),
)
THREE = Scheme(
    a=((1, 1, 1, 0), (0, 1, -1, -1)),
    b=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    g=((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
)


def serves(
    operation: str, stride: int, pads: object, window: tuple[int, int], size: tuple[int, int], i: int, o: int, n: int
) -> bool:
    """Whether one of the operations below is possible and, by measurement on XLA:CPU, faster than a convolution.

    Args:
      operation: "forward", "in_x" or "in_kernel".
      stride, pads, window, size: of the convolution and of its input, as in `correlate`.
      i, o: channels in and out.
      n: samples in the batch.
    """
    if (stride, window) not in ((1, (3, 3)), (2, (4, 4))) or pads != ((1, 1), (1, 1)):
        return False
    if any(side % (2 * stride) for side in size):
        return False
    if operation != "in_x" and n * size[0] * size[1] < _FEW * stride**2:  # transforming the kernel costs more
        return False
    few = min(i, o)
    if stride == 2:
        return few >= {"forward": 64, "in_x": 32, "in_kernel": 64}[operation]
    # of few channels, an Intel core runs large maps two to three times slower in the kernel than in x
    gains = size[0] >= 32 if operation == "in_kernel" else size[0] <= 32
    return few >= 128 or (few >= 64 and gains)


def forward(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`correlate` for a 3 x 3 kernel of stride 1 or a 4 x 4 kernel of stride 2, one zero a side.

    Args:
      x: float32 `[n, h, w, i]`, h and w multiples of twice the stride.
      kernel: float32 `[3, 3, i, o]` or `[4, 4, i, o]`.
    """
    return _correlated(_samples_of(x, stride), _of_kernel(kernel, stride), _scheme(stride), 0)


def in_kernel(x: jax.Array, y: jax.Array, stride: int) -> jax.Array:
    """The transpose of `forward` in the kernel, for `x` `[n, h, w, i]` and `y` `[n, h/stride, w/stride, o]`."""
    scheme, x = _scheme(stride), _samples_of(x, stride)
    total = None
    for band, start, stop in _bands(x, len(scheme.b)):
        places = _pairs(_tiles(band, scheme), _of_output(y[:, start:stop], scheme))
        sums = [[_product(_flat(data), _flat(slope), 0, 0) for data, slope in row] for row in places]
        total = sums if total is None else [[a + b for a, b in row] for row in _pairs(total, sums)]
    assert total is not None
    taps = jnp.stack([jnp.stack(row) for row in _along_both(_turned(scheme.g), total)])
    across, _, rows, o = taps.shape
    taps = taps.reshape(across, across, stride, stride, rows // stride**2, o).transpose(0, 2, 1, 3, 4, 5)
    return taps.reshape(across * stride, across * stride, rows // stride**2, o)


def in_x(y: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """The transpose of `forward` in its input: `y` `[n, h, w, o]` to `[n, stride h, stride w, i]`."""
    taps = _of_kernel(kernel, stride)
    if stride == 1:  # the kernel turned by half swaps the first place and the last
        order = (3, 1, 2, 0)
        return _correlated(_samples_of(y, 1), [[taps[a][b] for b in order] for a in order], THREE, 1)
    places = _pairs(_of_output(y, TWO), taps)
    products = [[_product(_flat(a), b, 1, 1).reshape(*a.shape[:3], -1) for a, b in row] for row in places]
    tiles = _along_both(_turned(TWO.b), products)
    return _from_phases(_overlapped([_overlapped(row, 2) for row in tiles], 1))


def _correlated(x: jax.Array, taps: Square, scheme: Scheme, axis: int) -> jax.Array:
    """What comes out of the samples `x`; `axis` is the one of each of `taps` that holds their channels."""
    outputs = []
    for band, _, _ in _bands(x, len(scheme.b)):
        places = _pairs(_tiles(band, scheme), taps)
        products = [[_product(_flat(a), b, 1, axis).reshape(*a.shape[:3], -1) for a, b in row] for row in places]
        outputs.append(_woven(_along_both(scheme.a, products)))
    return jnp.concatenate(outputs, 1)


def _bands(x: jax.Array, size: int) -> Iterator[tuple[jax.Array, int, int]]:
    """Rows of tiles, few enough at a time to save memory: their samples, and the rows of outputs they give.

    Smaller bands stay in the cache, but win no time by it and are slow to compile; as a loop they run slower.
    """
    tiles = (x.shape[1] - size) // 2 + 1
    step = tiles
    while step % 2 == 0 and step > 4 and step * _BANDS > tiles and x.size // tiles * step > _BAND:
        step //= 2
    for start in range(0, tiles, step):
        yield x[:, 2 * start : 2 * (start + step) + size - 2], 2 * start, 2 * (start + step)


def _product(a: jax.Array, b: jax.Array, axis_a: int, axis_b: int) -> jax.Array:
    return jax.lax.dot_general(a, b, (((axis_a,), (axis_b,)), ((), ())))


def _flat(x: jax.Array) -> jax.Array:
    return x.reshape(-1, x.shape[3])


def _scheme(stride: int) -> Scheme:
    return THREE if stride == 1 else TWO


def _samples_of(x: jax.Array, stride: int) -> jax.Array:
    """With zeros around, `[n, h + 2, w + 2, i]`; for stride 2 the four phases are channels, `[n, h/2 + 1, …, 4 i]`."""
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return _kept(x if stride == 1 else _to_phases(x))


def _tiles(x: jax.Array, scheme: Scheme) -> Square:
    """For each place of a tile of inputs `[n, tiles, tiles, c]`."""
    return _along_both(scheme.b, _samples(x, len(scheme.b)))


def _of_kernel(kernel: jax.Array, stride: int) -> Square:
    """For each place of a tile `[i, o]`, or `[4 i, o]`."""
    scheme, (i, o) = _scheme(stride), kernel.shape[2:]
    r = len(scheme.g[0])
    taps = kernel.reshape(r, stride, r, stride, i, o).transpose(0, 2, 1, 3, 4, 5).reshape(r, r, stride**2 * i, o)
    return _along_both(scheme.g, [list(row) for row in taps])


def _of_output(y: jax.Array, scheme: Scheme) -> Square:
    """For each place of a tile `[n, tiles, tiles, o]`."""
    return _along_both(_turned(scheme.a), _samples(_kept(y), 2))


def _along_both(matrix: Sequence[Row], square: Square) -> Square:
    """`matrix` times `square` times `matrix` transposed, entry by entry."""
    rows = [[_sum(row, column) for column in zip(*square, strict=True)] for row in matrix]
    return [[_sum(row, entries) for row in matrix] for entries in _kept(rows)]


def _sum(row: Row, terms: Sequence[jax.Array]) -> jax.Array:
    signed = [term if c == 1 else -term if c == -1 else c * term for c, term in zip(row, terms, strict=True) if c]
    return sum(signed[1:], signed[0])


def _turned(matrix: Sequence[Row]) -> tuple[Row, ...]:
    return tuple(zip(*matrix, strict=True))


def _pairs(one: Square, two: Square) -> list[list[tuple[jax.Array, jax.Array]]]:
    return [list(zip(a, b, strict=True)) for a, b in zip(one, two, strict=True)]


def _samples(x: jax.Array, size: int) -> Square:
    """The places of all tiles of `size` samples, two apart, along both axes."""
    last = [n - size for n in x.shape[1:3]]
    rows = [x[:, j : j + last[0] + 1 : 2] for j in range(size)]
    return [[row[:, :, j : j + last[1] + 1 : 2] for j in range(size)] for row in rows]


def _woven(tiles: Square) -> jax.Array:
    """Tiles of 2 x 2 outputs side by side: `[n, 2 tiles, 2 tiles, o]`."""
    rows = jnp.stack([jnp.stack(row, 3) for row in tiles], 2)
    n, high, _, wide, _, o = rows.shape
    return _kept(rows.reshape(n, 2 * high, 2 * wide, o))


def _overlapped(parts: Sequence[jax.Array], axis: int) -> jax.Array:
    """Tiles of three, two apart, added where they overlap: one axis of t entries becomes 2 t + 1."""
    first, middle, last = parts
    shared = _beside(first, axis, 0, 1) + _beside(last, axis, 1, 0)
    pairs = jnp.stack([shared, _beside(middle, axis, 0, 1)], axis + 1)
    shape = [*first.shape[:axis], -1, *first.shape[axis + 1 :]]
    return jax.lax.slice_in_dim(pairs.reshape(shape), 0, 2 * first.shape[axis] + 1, axis=axis)


def _beside(x: jax.Array, axis: int, before: int, after: int) -> jax.Array:
    return jnp.pad(x, [(before, after) if k == axis else (0, 0) for k in range(x.ndim)])


def _to_phases(x: jax.Array) -> jax.Array:
    """`[n, 2 h, 2 w, c]` to `[n, h, w, 4 c]`."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def _from_phases(x: jax.Array) -> jax.Array:
    """The inverse of `_to_phases`, without the border of one."""
    n, h, w, c = x.shape
    x = _kept(x).reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
    return _kept(x.reshape(n, 2 * h, 2 * w, c // 4)[:, 1:-1, 1:-1])
