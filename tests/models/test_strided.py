"""Convolutions by phases are the convolution of stride two and its two transposes, and serve only where they may."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.models import strided
from ganx.models.correlate import correlate

DIMS = ("NHWC", "HWIO", "NHWC")


def arrays(*shapes):
    rng = np.random.RandomState(0)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


def plain(pads):
    return lambda x, k: jax.lax.conv_general_dilated(x, k, (2, 2), pads, dimension_numbers=DIMS)


def close(ours, theirs):
    return ours.shape == theirs.shape and np.abs(ours - theirs).max() <= 3e-6 * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("window", "size", "pads"),
    [
        ((3, 3), (7, 9), ((0, 0), (0, 0))),
        ((3, 3), (8, 12), ((1, 1), (1, 1))),
        ((3, 3), (16, 7), ((1, 0), (0, 2))),
        ((4, 4), (8, 12), ((1, 1), (1, 1))),
        ((2, 3), (7, 9), ((2, 1), (0, 1))),
        ((5, 3), (16, 7), ((2, 1), (0, 1))),
    ],
)
def test_all_three_directions_equal_the_convolution_and_its_transposes(window, size, pads):
    x, k = arrays((2, *size, 3), (*window, 3, 5))
    y, pull = jax.vjp(plain(pads), x, k)
    (slope,) = arrays(y.shape)
    ours = jax.jit(
        lambda x, k, y: (
            strided.forward(x, k, pads),
            strided.in_x(y, k, pads, size),
            strided.in_kernel(x, y, pads, window),
        )
    )(x, k, slope)
    for one, other in zip(ours, (y, *pull(slope)), strict=True):
        assert close(one, other)


def test_of_wide_strided_convolutions_correlate_makes_products_and_no_strided_convolution():
    x, k = arrays((1, 9, 9, 256), (3, 3, 256, 256))
    pads = ((0, 0), (0, 0))
    apply = lambda x, k: correlate(x, k, 2, pads)  # noqa: E731
    y, pull = jax.vjp(plain(pads), x, k)
    all_three = lambda x, k, y: (apply(x, k), *jax.vjp(apply, x, k)[1](y))  # noqa: E731
    ours = jax.jit(all_three)(x, k, y)
    for one, other in zip(ours, (y, *pull(y)), strict=True):
        assert close(one, other)
    text = jax.jit(all_three).lower(x, k, y).as_text()
    assert text.count("stablehlo.dot_general") == 1 + 9  # forward; a product for each place of the kernel
    assert text.count("stablehlo.convolution") == 4  # phases


@pytest.mark.parametrize("operation", ["forward", "in_x", "in_kernel"])
def test_few_channels_other_strides_and_other_windows_are_left_alone(operation):
    assert strided.serves(operation, 2, (3, 3), (33, 33), 256, 512)
    assert not strided.serves(operation, 2, (3, 3), (33, 33), 3, 512)
    assert not strided.serves(operation, 1, (3, 3), (33, 33), 256, 512)
    assert not strided.serves(operation, 2, (4, 4), (33, 33), 256, 512)


def test_a_batch_over_eight_devices_stays_where_it_is():
    """Only the gradient in the kernel is a sum over samples; nothing needs those of another device."""
    x, k, y = arrays((16, 9, 9, 8), (3, 3, 8, 8), (16, 4, 4, 8))
    pads, mesh = ((0, 0), (0, 0)), jax.make_mesh((8,), ("data",))
    split = jax.NamedSharding(mesh, jax.P("data"))
    whole = jax.NamedSharding(mesh, jax.P())
    forms = {
        "forward": (lambda x, k: strided.forward(x, k, pads), (x, k), (split, whole), split, 0),
        "in_x": (lambda y, k: strided.in_x(y, k, pads, (9, 9)), (y, k), (split, whole), split, 0),
        "in_kernel": (lambda x, y: strided.in_kernel(x, y, pads, (3, 3)), (x, y), (split, split), whole, 1),
    }
    for name, (form, args, places, out, sums) in forms.items():
        program = jax.jit(form, in_shardings=places, out_shardings=out).lower(*args).compile()
        text = program.as_text()
        moved = sum(text.count(f" {kind}(") for kind in ("all-gather", "all-to-all", "collective-permute"))
        assert moved == 0, name
        assert (text.count(" all-reduce(") > 0) is bool(sums), name
        placed = (jax.device_put(a, place) for a, place in zip(args, places, strict=True))
        assert close(np.asarray(program(*placed)), form(*args))


def test_half_precision_is_left_alone():
    x, k = (a.astype(jnp.bfloat16) for a in arrays((1, 9, 9, 256), (3, 3, 256, 256)))
    text = jax.jit(lambda x, k: correlate(x, k, 2, ((0, 0), (0, 0)))).lower(x, k).as_text()
    assert "stablehlo.dot_general" not in text


def test_gradients_of_gradients_go_through_it():
    x, k = arrays((1, 5, 5, 256), (3, 3, 256, 256))
    pads = ((0, 0), (0, 0))

    def penalty(conv, k):
        slope = jax.grad(lambda x: jnp.square(conv(x, k)).sum())(x)
        return jnp.square(slope).mean()

    ours = jax.grad(lambda k: penalty(lambda x, k: correlate(x, k, 2, pads), k))(k)
    theirs = jax.grad(lambda k: penalty(plain(pads), k))(k)
    assert close(ours, theirs)
