"""Convolution as three bilinear operations that are each other's gradients.

For a convolution y = F(x, k) let X(y, k) be its transpose in x and W(x, y) its transpose in k. Every derivative of
the three, of any order and in either mode, is one of the three again:

    F: in x → X, in k → W        X: in y → F, in k → W        W: in x → X, in y → F

JAX differentiates X as a convolution with a dilated input, whose kernel gradient no backend runs well (on XLA:CPU
2 to 20 times slower than W). As primitives of their own, transposed convolutions and the second derivatives of
strided ones cost what ordinary convolutions cost. Forward and reverse mode, vmap and jit all work.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from ganx.models import strided, winograd

Pads = tuple[tuple[int, int], tuple[int, int]]
Size = tuple[int, int]

_DIMS = ("NHWC", "HWIO", "NHWC")


def correlate(x: jax.Array, kernel: jax.Array, stride: int, pads: Pads) -> jax.Array:
    """F: correlation of `x` `[n, h, w, i]` with `kernel` `[kh, kw, i, o]`, zeros added by `pads`."""
    size, window = x.shape[1:3], kernel.shape[:2]
    return _forward.bind(*_aligned(x, kernel), stride=stride, pads=pads, size=size, window=window)


def correlate_transpose(y: jax.Array, kernel: jax.Array, stride: int, pads: Pads, size: Size) -> jax.Array:
    """X: the transpose of `correlate` in `x`, for inputs of `size`: `y` `[n, oh, ow, o]` to `[n, *size, i]`.

    `kernel` `[kh, kw, i, o]` is the one that `correlate` would take.
    """
    return _backward.bind(*_aligned(y, kernel), stride=stride, pads=pads, size=size, window=kernel.shape[:2])


def _aligned(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Inside `shard_map`: arrays that vary over the same mesh axes, as JAX's own operations arrange it."""
    varying = [jax.typeof(array).mat.varying for array in arrays]
    missing = [frozenset().union(*varying) - axes for axes in varying]
    pairs = zip(arrays, missing, strict=True)
    return tuple(jax.lax.pcast(array, tuple(axes), to="varying") if axes else array for array, axes in pairs)


def _correlate(x: jax.Array, kernel: jax.Array, *, stride: int, pads: Pads, size: Size, window: Size) -> jax.Array:
    if _pointwise(stride, pads, window):
        return _product(x, kernel[0, 0], (3,), (0,))
    if _minimal("forward", x, kernel, stride, pads, size, window):
        return winograd.forward(x, kernel, stride)
    if _by_phases("forward", x, kernel, stride, size, window):
        return strided.forward(x, kernel, pads)
    if _exact_on_cpu(x, kernel) and _bare(stride, pads, window, size):
        inner = _correlate(x, kernel, stride=1, pads=((1, 1), (1, 1)), size=size, window=window)
        return inner[:, 1:-1, 1:-1]
    if _exact_on_cpu(x, kernel) and x.shape[3] == 3 and 16 < kernel.shape[3] <= 32:
        x, kernel = (_with_a_zero_channel(a, axis) for a, axis in ((x, 3), (kernel, 2)))
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), pads, dimension_numbers=_DIMS)


def _in_x(y: jax.Array, kernel: jax.Array, *, stride: int, pads: Pads, size: Size, window: Size) -> jax.Array:
    if _pointwise(stride, pads, window):
        return _product(y, kernel[0, 0], (3,), (1,))
    if _minimal("in_x", y, kernel, stride, pads, size, window):
        return winograd.in_x(y, kernel, stride)
    if _by_phases("in_x", y, kernel, stride, size, window):
        return strided.in_x(y, kernel, pads, size)
    reach = [(n - 1) * stride + 1 for n in y.shape[1:3]]
    before = [k - 1 - low for k, (low, _) in zip(window, pads, strict=True)]
    around = [(b, n + k - 1 - r - b) for b, n, k, r in zip(before, size, window, reach, strict=True)]
    turned = jax.lax.rev(kernel, (0, 1))  # reversed and nothing else, so that a GPU's compiler knows it for a gradient
    dims = ("NHWC", "HWOI", "NHWC")
    return jax.lax.conv_general_dilated(
        y, turned, (1, 1), around, lhs_dilation=(stride, stride), dimension_numbers=dims
    )


def _bare(stride: int, pads: Pads, window: Size, size: Size) -> bool:
    """A 3 x 3 convolution of a large map without padding: on CPU the library takes twice as long for it as for a padded
    one, whose border is then thrown away."""
    return stride == 1 and window == (3, 3) and pads == ((0, 0), (0, 0)) and min(size) >= 64


def _with_a_zero_channel(a: jax.Array, axis: int) -> jax.Array:
    """Three input channels as four: on CPU a library's convolution of colours into few filters is then two to eight
    times faster."""
    return jnp.pad(a, [(0, int(i == axis)) for i in range(4)])


def _pointwise(stride: int, pads: Pads, window: Size) -> bool:
    """Whether every output is made of one input place: a product of matrices, which as a convolution XLA:CPU runs four
    times slower in the kernel."""
    return stride == 1 and window == (1, 1) and pads == ((0, 0), (0, 0))


def _product(a: jax.Array, b: jax.Array, over_a: tuple[int, ...], over_b: tuple[int, ...]) -> jax.Array:
    return jax.lax.dot_general(a, b, ((over_a, over_b), ((), ())))


def _minimal(operation: str, a: jax.Array, b: jax.Array, stride: int, pads: Pads, size: Size, window: Size) -> bool:
    """Whether fewer products serve: on CPU, in float32 (accelerators have convolutions of their own)."""
    i, o = _channels(operation, a, b)
    return _exact_on_cpu(a, b) and winograd.serves(operation, stride, pads, window, size, i, o, a.shape[0])


def _by_phases(operation: str, a: jax.Array, b: jax.Array, stride: int, size: Size, window: Size) -> bool:
    return _exact_on_cpu(a, b) and strided.serves(operation, stride, window, size, *_channels(operation, a, b))


def _channels(operation: str, a: jax.Array, b: jax.Array) -> tuple[int, int]:
    """In and out."""
    return (a.shape[3], b.shape[3]) if operation == "in_kernel" else (b.shape[2], b.shape[3])


def _exact_on_cpu(a: jax.Array, b: jax.Array) -> bool:
    return jax.default_backend() == "cpu" and a.dtype == b.dtype == jnp.float32


def _in_kernel(x: jax.Array, y: jax.Array, *, stride: int, pads: Pads, size: Size, window: Size) -> jax.Array:
    if _pointwise(stride, pads, window):
        # flat, for over three axes XLA:CPU takes half as long again
        return _product(x.reshape(-1, x.shape[3]), y.reshape(-1, y.shape[3]), (0,), (0,))[None, None]
    if _minimal("in_kernel", x, y, stride, pads, size, window):
        return winograd.in_kernel(x, y, stride)
    if _by_phases("in_kernel", x, y, stride, size, window):
        return strided.in_kernel(x, y, pads, window)
    reach = [(n - 1) * stride + 1 for n in y.shape[1:3]]
    around = [(low, r - n + k - 1 - low) for (low, _), r, n, k in zip(pads, reach, size, window, strict=True)]
    # samples are summed over, so they are the features of this convolution, and channels its batch
    dims = ("CHWN", "IHWO", "HWNC")
    x, y = jax.lax.optimization_barrier((x, y))  # what makes them is slow when fused into the change of layout
    return jax.lax.conv_general_dilated(x, y, (1, 1), around, rhs_dilation=(stride, stride), dimension_numbers=dims)


def _primitive(name: str, form: Callable[..., jax.Array]) -> Primitive:
    """A primitive that computes, lowers and maps as `form` does; its derivatives are set afterwards."""
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(form, static_argnames=("stride", "pads", "size", "window")))

    def shape(a: Any, b: Any, **static: Any) -> Any:
        out = jax.eval_shape(
            functools.partial(form, **static), *(jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (a, b))
        )
        return a.update(shape=out.shape, dtype=out.dtype)

    def mapped(args: Any, axes: Any, **static: Any) -> tuple[jax.Array, int]:
        return jax.vmap(functools.partial(form, **static), axes)(*args), 0

    primitive.def_abstract_eval(shape)
    batching.primitive_batchers[primitive] = mapped
    mlir.register_lowering(primitive, mlir.lower_fun(form, multiple_results=False))
    return primitive


_forward = _primitive("correlate", _correlate)
_backward = _primitive("correlate_in_x", _in_x)
_weight = _primitive("correlate_in_kernel", _in_kernel)

# Transpose rules get the cotangent and both arguments, of which the one asked for is unknown.
ad.defbilinear(
    _forward,
    lambda ct, x, kernel, **static: _backward.bind(ct, kernel, **static),
    lambda ct, x, kernel, **static: _weight.bind(x, ct, **static),
)
ad.defbilinear(
    _backward,
    lambda ct, y, kernel, **static: _forward.bind(ct, kernel, **static),
    lambda ct, y, kernel, **static: _weight.bind(ct, y, **static),
)
ad.defbilinear(
    _weight,
    lambda ct, x, y, **static: _backward.bind(y, ct, **static),
    lambda ct, x, y, **static: _forward.bind(x, ct, **static),
)
