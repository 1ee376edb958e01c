"""Minimal filtering computes what a convolution and its two transposes compute, and only where it may."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.models import winograd
from ganx.models.correlate import correlate

ONE = ((1, 1), (1, 1))
DIMS = ("NHWC", "HWIO", "NHWC")


def arrays(*shapes):
    rng = np.random.RandomState(0)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


def plain(stride):
    return lambda x, k: jax.lax.conv_general_dilated(x, k, (stride, stride), ONE, dimension_numbers=DIMS)


def close(ours, theirs):
    return np.abs(ours - theirs).max() <= 3e-6 * np.abs(theirs).max()


@pytest.mark.parametrize("band", [2**30, 1])  # all tiles at once; four rows of tiles at a time
@pytest.mark.parametrize(("stride", "kernel", "size"), [(1, 3, (16, 12)), (2, 4, (32, 20))])
def test_all_three_directions_equal_the_convolution_and_its_transposes(stride, kernel, size, band, monkeypatch):
    monkeypatch.setattr(winograd, "_BAND", band)
    x, k = arrays((2, *size, 3), (kernel, kernel, 3, 5))
    y, pull = jax.vjp(plain(stride), x, k)
    (slope,) = arrays(y.shape)
    in_x, in_kernel = pull(slope)
    assert close(winograd.forward(x, k, stride), y)
    assert close(winograd.in_x(slope, k, stride), in_x)
    assert close(winograd.in_kernel(x, slope, stride), in_kernel)


@pytest.mark.parametrize(
    ("stride", "pads", "window", "size"),
    [
        (1, ((0, 0), (0, 0)), (3, 3), (8, 8)),
        (1, ONE, (3, 3), (9, 8)),
        (2, ONE, (4, 4), (6, 8)),
        (2, ONE, (3, 3), (8, 8)),
    ],
)
def test_other_convolutions_are_left_alone(stride, pads, window, size):
    assert not winograd.serves("forward", stride, pads, window, size, 512, 512, 64)


def test_few_channels_are_left_alone():
    assert winograd.serves("forward", 1, ONE, (3, 3), (32, 32), 256, 256, 1)
    assert not winograd.serves("forward", 1, ONE, (3, 3), (32, 32), 3, 256, 1)


def test_few_outputs_are_left_alone_but_on_the_way_back():
    """There the kernel's transform costs more than it saves; the way back has to turn the kernel in any case."""
    for operation, few in (("forward", False), ("in_x", True), ("in_kernel", False)):
        assert winograd.serves(operation, 1, ONE, (3, 3), (8, 8), 512, 512, 1) is few
        assert winograd.serves(operation, 1, ONE, (3, 3), (8, 8), 512, 512, 4)
        assert winograd.serves(operation, 2, ONE, (4, 4), (16, 16), 512, 512, 1) is few
        assert winograd.serves(operation, 2, ONE, (4, 4), (16, 16), 512, 512, 4)


def products(function, *args):
    """Number of matrix products and of convolutions in the compiled program's input."""
    text = jax.jit(function).lower(*args).as_text()
    return text.count("stablehlo.dot_general"), text.count("stablehlo.convolution")


def test_wide_convolutions_use_it_and_half_precision_does_not():
    x, k = arrays((4, 8, 8, 64), (3, 3, 64, 64))
    apply = lambda x, k: correlate(x, k, 1, ONE)  # noqa: E731
    assert products(apply, x, k) == (16, 0)
    assert products(apply, x.astype(jnp.bfloat16), k.astype(jnp.bfloat16)) == (0, 1)


def test_in_the_kernel_large_maps_of_few_channels_use_it():
    for operation, large in (("forward", False), ("in_x", False), ("in_kernel", True)):
        assert winograd.serves(operation, 1, ONE, (3, 3), (64, 64), 64, 64, 1) is large
        assert winograd.serves(operation, 1, ONE, (3, 3), (16, 16), 64, 64, 1) is not large


def test_pointwise_convolutions_are_products():
    x, k = arrays((2, 4, 6, 3), (1, 1, 3, 5))
    apply = lambda x, k: correlate(x, k, 1, ((0, 0), (0, 0)))  # noqa: E731
    y, pull = jax.vjp(lambda x, k: jnp.tensordot(x, k[0, 0], 1), x, k)
    ours, our_pull = jax.vjp(apply, x, k)
    assert close(ours, y)
    for one, other in zip(our_pull(y), pull(y), strict=True):
        assert close(one, other)
    assert products(lambda x, k, y: jax.vjp(apply, x, k)[1](y), x, k, y) == (2, 0)


def test_gradients_of_gradients_go_through_it():
    x, k = arrays((16, 4, 4, 128), (3, 3, 128, 128))

    def penalty(conv, k):
        slope = jax.grad(lambda x: jnp.square(conv(x, k)).sum())(x)
        return jnp.square(slope).mean()

    ours = jax.grad(lambda k: penalty(lambda x, k: correlate(x, k, 1, ONE), k))(k)
    theirs = jax.grad(lambda k: penalty(plain(1), k))(k)
    assert close(ours, theirs)
