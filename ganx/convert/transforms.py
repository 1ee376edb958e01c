"""Named, invertible changes of layout between a framework's tensors and ganx's variables.

A key map stores names, never functions, so that it is saved with an imported GAN and `ganx export` can walk it
backwards. A name may carry an argument after a colon (`plus:1`), and several apply in turn when joined by a bar:
`first|conv`. Canonical forms: dense `[in, out]`, convolution HWIO, activations NHWC.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ganx.errors import GanxError, unknown

Shape = tuple[int, ...]
# (array, argument, the shape to arrive at) -> array
Step = Callable[[np.ndarray, str, Shape], np.ndarray]
_ROUNDING = frozenset({"plus"})


class Transform(NamedTuple):
    """`forward` takes a file's tensor to a variable, `backward` returns it."""

    forward: Step
    backward: Step


def forward(name: str, array: np.ndarray, shape: Shape) -> np.ndarray:
    """The variable of shape `shape` that a tensor becomes.

    Raises:
      GanxError: the transform does not exist.
      ValueError, IndexError: the tensor's shape is none that the transform takes.
    """
    for step, argument in _steps(name):
        array = step.forward(array, argument, shape)
    return array


def backward(name: str, array: np.ndarray, shape: Shape) -> np.ndarray:
    """The tensor of shape `shape` that `forward` made a variable of; errors as for `forward`."""
    steps = _steps(name)
    shapes = _shapes_before(steps, shape, array.shape)
    for (step, argument), before in zip(reversed(steps), reversed(shapes), strict=True):
        array = step.backward(array, argument, before)
    return array


def is_exact(name: str) -> bool:
    """Whether `backward` undoes `forward` to the last bit, whatever the numbers."""
    return all(part.partition(":")[0] not in _ROUNDING for part in name.split("|"))


def _steps(name: str) -> list[tuple[Transform, str]]:
    steps = []
    for part in name.split("|"):
        base, _, argument = part.partition(":")
        if base not in TRANSFORMS:
            raise unknown("transform", base, TRANSFORMS)
        steps.append((TRANSFORMS[base], argument))
    return steps


def _shapes_before(steps: list[tuple[Transform, str]], source: Shape, target: Shape) -> list[Shape]:
    """The shape that each step is given, found on an array that takes no memory."""
    probe, shapes = np.broadcast_to(np.zeros((), np.uint8), source), []
    for step, argument in steps:
        shapes.append(probe.shape)
        if len(steps) > 1:
            probe = step.forward(probe, argument, target)
    return shapes


def _permutation(*axes: int) -> Transform:
    inverse = tuple(int(i) for i in np.argsort(axes))
    return Transform(lambda a, _, s: a.transpose(axes), lambda a, _, s: a.transpose(inverse))


def _turned(inner: Transform) -> Transform:
    """`inner`, then both spatial axes of the HWIO kernel reversed."""
    return Transform(
        lambda a, arg, s: inner.forward(a, arg, s)[::-1, ::-1],
        lambda a, arg, s: inner.backward(a[::-1, ::-1], arg, s),
    )


def _reshaped(array: np.ndarray, argument: str, shape: Shape) -> np.ndarray:
    return array.reshape(_numbers(argument) if argument else shape)


def _back_in_shape(array: np.ndarray, _: str, shape: Shape) -> np.ndarray:
    return array.reshape(shape)


def _first(array: np.ndarray, _: str, shape: Shape) -> np.ndarray:
    if array.shape[:1] != (1,):
        raise ValueError("more than one along the first axis")
    return array[0]


def _plus(sign: float) -> Step:
    return lambda array, argument, _: array + np.asarray(sign * float(argument), array.dtype)


def _channels_last(array: np.ndarray, _: str, shape: Shape) -> np.ndarray:
    return np.moveaxis(array, -3, -1)


def _channels_first(array: np.ndarray, _: str, shape: Shape) -> np.ndarray:
    return np.moveaxis(array, -1, -3)


def _regroup(axis: int, to_hwc: bool) -> Step:
    """Reorders one axis (the first, 0, or the last, -1) between C,H,W and H,W,C order; the argument is `HxW`."""

    def step(array: np.ndarray, argument: str, _: Shape) -> np.ndarray:
        height, width = _numbers(argument)
        length = array.shape[axis]
        channels = length // (height * width)
        groups = (channels, height, width) if to_hwc else (height, width, channels)
        order = np.arange(length).reshape(groups).transpose((1, 2, 0) if to_hwc else (2, 0, 1)).ravel()
        return np.take(array, order, axis=axis)

    return step


def _chain(*parts: Transform) -> Transform:
    def there(array: np.ndarray, argument: str, shape: Shape) -> np.ndarray:
        for part in parts:
            array = part.forward(array, argument, shape)
        return array

    def back(array: np.ndarray, argument: str, shape: Shape) -> np.ndarray:
        for part in reversed(parts):
            array = part.backward(array, argument, shape)
        return array

    return Transform(there, back)


def _numbers(argument: str) -> Shape:
    try:
        numbers = tuple(int(part) for part in argument.split("x"))
    except ValueError:
        numbers = ()
    if not numbers or math.prod(numbers) <= 0:
        raise GanxError(f"a transform needs sizes such as 4x4, not {argument!r}")
    return numbers


_DENSE = _permutation(1, 0)
_CONV = _permutation(2, 3, 1, 0)
_DECONV = _permutation(2, 3, 0, 1)
_CHW_FIRST = Transform(_regroup(0, True), _regroup(0, False))
_CHW_LAST = Transform(_regroup(-1, True), _regroup(-1, False))

TRANSFORMS: dict[str, Transform] = {
    # as it is
    "same": Transform(lambda a, _, s: a, lambda a, _, s: a),
    # [out, in] -> [in, out]
    "dense": _DENSE,
    # OIHW -> HWIO
    "conv": _CONV,
    # OIHW -> HWIO turned by 180 degrees
    "conv_turned": _turned(_CONV),
    # IOHW -> HWIO turned by 180 degrees: PyTorch's transposed convolution
    "deconv": _turned(_DECONV),
    # IOHW -> HWIO
    "deconv_unturned": _DECONV,
    # HWIO turned by 180 degrees
    "turned": _turned(Transform(lambda a, _, s: a, lambda a, _, s: a)),
    # HWOI -> HWIO turned by 180 degrees: TensorFlow's transposed convolution
    "hwoi_turned": _turned(_permutation(0, 1, 3, 2)),
    # to the variable's shape, or to the one given: reshape, reshape:4x4x512
    "reshape": Transform(_reshaped, _back_in_shape),
    # [1, ...] -> [...]
    "first": Transform(_first, lambda a, _, s: a[None]),
    # a number is added: plus:1
    "plus": Transform(_plus(1.0), _plus(-1.0)),
    # [..., C, H, W] -> [..., H, W, C]
    "channels_last": Transform(_channels_last, _channels_first),
    # [out, C*H*W] -> [H*W*C, out]: a dense layer on a flattened map; the argument is HxW, as in those below
    "chw_rows": _chain(_DENSE, _CHW_FIRST),
    # [C*H*W, in] -> [in, H*W*C]: a dense layer that makes a map
    "chw_columns": _chain(_DENSE, _CHW_LAST),
    # the first axis from C,H,W to H,W,C order, nothing else
    "chw_first": _CHW_FIRST,
    # the last axis from C,H,W to H,W,C order, nothing else (biases, u vectors, TensorFlow's dense)
    "chw_last": _CHW_LAST,
}
