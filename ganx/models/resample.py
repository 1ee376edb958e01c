"""The [1, 3, 3, 1] filter of StyleGAN2, its doubling and its halving, as linear operations closed under transposition.

JAX's own transpose of a sum of slices is a sum of padded arrays, which XLA writes out one by one. The transpose of each
of these three is one of them again: the filter is symmetric, and doubling is the transpose of halving times four.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def blur(x: jax.Array, pad: int) -> jax.Array:
    """The filter along both axes of `x` `[n, h, w, c]`, taps summing to one, `pad` zeros a side: h + 2 pad - 3 high."""
    return _resample.bind(x, kind="blur", pad=pad)


def halve(x: jax.Array) -> jax.Array:
    """Every second sample of the filtered `x`: `[n, h, w, c]` to `[n, h/2, w/2, c]`."""
    return _resample.bind(x, kind="halve", pad=1)


def double(x: jax.Array) -> jax.Array:
    """The filtered zero-inserted `x`, brightness kept: `[n, h, w, c]` to `[n, 2h, 2w, c]`."""
    return _resample.bind(x, kind="double", pad=1)


def _form(x: jax.Array, *, kind: str, pad: int) -> jax.Array:
    for axis in (1, 2):
        x = _double(x, axis) if kind == "double" else _filter(x, axis, pad, 2 if kind == "halve" else 1)
    return x


def _padded(x: jax.Array, axis: int, pad: int) -> jax.Array:
    return jnp.pad(x, [(pad, pad) if i == axis else (0, 0) for i in range(x.ndim)])


def _filter(x: jax.Array, axis: int, pad: int, stride: int) -> jax.Array:
    x = _padded(x, axis, pad)
    last = x.shape[axis] - 4
    a, b, c, d = (jax.lax.slice_in_dim(x, k, k + last + 1, stride, axis) for k in range(4))
    return (a + d) * (1 / 8) + (b + c) * (3 / 8)


def _double(x: jax.Array, axis: int) -> jax.Array:
    size = x.shape[axis]
    padded = _padded(x, axis, 1)
    before, after = (jax.lax.slice_in_dim(padded, k, k + size, 1, axis) for k in (0, 2))
    pair = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
    return pair.reshape(*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])


def _shape(x: Any, *, kind: str, pad: int) -> Any:
    n, h, w, c = x.shape
    size = {"blur": (h + 2 * pad - 3, w + 2 * pad - 3), "halve": (h // 2, w // 2), "double": (2 * h, 2 * w)}[kind]
    return x.update(shape=(n, *size, c))


def _transpose(ct: jax.Array, x: Any, *, kind: str, pad: int) -> list[jax.Array]:
    del x
    if kind == "blur":
        return [blur(ct, 3 - pad)]
    return [double(ct) * 0.25 if kind == "halve" else halve(ct) * 4.0]


def _mapped(args: Any, axes: Any, **static: Any) -> tuple[jax.Array, int]:
    return jax.vmap(functools.partial(_form, **static), axes)(*args), 0


_resample = Primitive("resample")
_resample.def_impl(jax.jit(_form, static_argnames=("kind", "pad")))
_resample.def_abstract_eval(_shape)
ad.deflinear2(_resample, _transpose)
batching.primitive_batchers[_resample] = _mapped
mlir.register_lowering(_resample, mlir.lower_fun(_form, multiple_results=False))
