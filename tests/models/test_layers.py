"""The layers against their definitions (dense, zero-inserted, per-sample), and every derivative of the fast forms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec
from jax.test_util import check_grads

from ganx.models import layers
from ganx.models.correlate import correlate, correlate_transpose

DIMS = ("NHWC", "HWIO", "NHWC")
TAPS = jnp.outer(jnp.array([1.0, 3.0, 3.0, 1.0]), jnp.array([1.0, 3.0, 3.0, 1.0])) / 64


def _draw(seed: int, *shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def _plain(x, kernel, stride=1, pad=0, dilate=1, groups=1):
    pads = [(pad, pad)] * 2
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), pads, (dilate, dilate), dimension_numbers=DIMS, feature_group_count=groups
    )


def _plain_fir(x, pad, gain=1.0, stride=1, dilate=1):
    channels = x.shape[-1]
    taps = jnp.tile(gain * TAPS[..., None, None], (1, 1, 1, channels))
    return _plain(x, taps, stride, pad, dilate, channels)


@pytest.fixture(scope="module")
def x():
    return _draw(0, 3, 6, 8, 5)


def _close(a, b, tolerance=2e-6):
    scale = float(jnp.abs(b).max())
    np.testing.assert_allclose(a, b, atol=tolerance * scale, rtol=0)


@pytest.mark.parametrize("size", [(6, 8), (3, 2)], ids=["large map", "small map"])  # two forms on CPU
def test_up_conv_is_the_canonical_kernel_over_the_zero_inserted_input(size):
    x, kernel = _draw(0, 2, *size, 5), _draw(1, 4, 4, 5, 2)
    _close(layers.up_conv(x, kernel), _plain(x, kernel, pad=2, dilate=2))


def test_down_conv_is_a_strided_correlation(x):
    kernel = _draw(1, 4, 4, 5, 2)
    _close(layers.down_conv(x, kernel), _plain(x, kernel, stride=2, pad=1))


@pytest.mark.parametrize("size", [1, 3])
def test_same_padding_keeps_the_size(x, size):
    kernel = _draw(1, size, size, 5, 2)
    _close(layers.conv(x, kernel), _plain(x, kernel, pad=size // 2))


def test_project_is_a_transposed_convolution_of_one_pixel():
    z, kernel = _draw(0, 3, 6), _draw(1, 4, 4, 6, 5)
    _close(layers.project(z, kernel), _plain(z[:, None, None], kernel, pad=3))


def test_fir_resampling_matches_the_two_dimensional_filter(x):
    _close(layers.fir_up(x), _plain_fir(x, 2, gain=4.0, dilate=2))
    _close(layers.fir_down(x), _plain_fir(x, 1, stride=2))
    kernel = _draw(1, 3, 3, 5, 2)
    _close(layers.blur_down_conv(x, kernel), _plain(_plain_fir(x, 2), kernel, stride=2))


def _per_sample(x, kernel, styles, up):
    weights = kernel[None] * styles[:, None, None, :, None]
    weights = weights / jnp.sqrt(jnp.square(weights).sum((1, 2, 3), keepdims=True) + 1e-8)
    out = []
    for one, weight in zip(x, weights, strict=True):
        if up:
            out.append(_plain_fir(_plain(one[None], weight, pad=2, dilate=2), 1, gain=4.0))
        else:
            out.append(_plain(one[None], weight, pad=1))
    return jnp.concatenate(out)


@pytest.mark.parametrize("up", [False, True])
def test_modulated_conv_equals_per_sample_kernels(x, up):
    kernel, styles = _draw(1, 3, 3, 5, 2), _draw(2, 3, 5)
    _close(layers.modulated_conv(x, kernel, styles, up=up), _per_sample(x, kernel, styles, up), 5e-6)


def test_modulated_conv_without_demodulation_is_linear_in_the_styles(x):
    kernel, styles = _draw(1, 1, 1, 5, 2), _draw(2, 3, 5)
    once, thrice = (layers.modulated_conv(x, kernel, k * styles, demodulate=False) for k in (1, 3))
    _close(thrice, 3 * once)


FORMS = {
    "correlate": (lambda x, k: correlate(x, k, 2, ((1, 0), (1, 2))), (1, 6, 7, 2), (3, 4, 2, 3)),
    "transpose": (lambda y, k: correlate_transpose(y, k, 2, ((1, 0), (1, 2)), (6, 7)), (1, 3, 4, 3), (3, 4, 2, 3)),
    "up": (layers.up_conv, (1, 3, 2, 2), (4, 4, 2, 3)),
    "colours": (layers.down_conv, (1, 4, 4, 3), (4, 4, 3, 18)),
    "pointwise": (layers.conv, (1, 2, 3, 2), (1, 1, 2, 3)),
    "blur_down": (layers.blur_down_conv, (1, 4, 4, 2), (3, 3, 2, 2)),
    "fir": (lambda x, k: layers.fir_up(x) * layers.fir_up(layers.fir_down(layers.fir_up(x))), (1, 4, 2, 2), (1,)),
}


@pytest.mark.parametrize("name", FORMS)
def test_first_and_second_derivatives_in_both_modes(name):
    form, x, kernel = FORMS[name]
    args = (_draw(0, *x), _draw(1, *kernel))
    check_grads(jax.jit(form), args, order=2, modes=("fwd", "rev"), atol=3e-2, rtol=3e-2)


def test_gradients_of_a_transposed_convolution_equal_the_dilated_ones(x):
    kernel = _draw(1, 4, 4, 5, 2)

    def gradients(form):
        def penalty(x, k):  # a gradient of a gradient: what R1 and path length differentiate
            return jnp.square(jax.grad(lambda x: jnp.sin(form(x, k)).sum())(x)).sum()

        return jax.jit(jax.grad(penalty, (0, 1)))(x, kernel)

    for ours, plain in zip(
        gradients(layers.up_conv), gradients(lambda x, k: _plain(x, k, pad=2, dilate=2)), strict=True
    ):
        _close(ours, plain, 1e-5)


def test_no_program_has_a_convolution_with_both_inputs_dilated(x):
    kernel = _draw(1, 4, 4, 5, 2)
    program = jax.jit(jax.grad(lambda x, k: layers.up_conv(x, k).sum(), (0, 1))).lower(x, kernel).as_text()
    for line in program.splitlines():
        if "stablehlo.convolution" in line:
            assert not ("lhs_dilate = [2, 2]" in line and "rhs_dilate = [2, 2]" in line)
            assert "lhs_dilate = [2, 2]" not in line or "[b, 0, 1, f]x[0, 1, i, o]" in line


def test_fast_forms_map_over_either_argument(x):
    kernels = _draw(1, 2, 4, 4, 5, 2)
    _close(jax.vmap(layers.up_conv, (None, 0))(x, kernels)[1], layers.up_conv(x, kernels[1]))
    _close(jax.vmap(layers.fir_down)(x[None])[0], layers.fir_down(x))


def test_gradient_inside_shard_map_is_summed_over_devices():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    x, kernel = _draw(0, 2, 3, 3, 2), _draw(1, 4, 4, 2, 3)
    grad = jax.grad(lambda k, x: jnp.square(layers.up_conv(x, k)).sum())
    specs = {"in_specs": (PartitionSpec(), PartitionSpec("data")), "out_specs": PartitionSpec()}
    sharded = jax.jit(jax.shard_map(grad, mesh=mesh, **specs))
    _close(sharded(kernel, x), grad(kernel, x))


def test_convolutions_keep_bfloat16(x):
    x, kernel = x.astype(jnp.bfloat16), _draw(1, 3, 3, 5, 2)
    assert layers.modulated_conv(x, kernel, _draw(2, 3, 5), up=True).dtype == jnp.bfloat16
    assert layers.blur_down_conv(x, kernel.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_minibatch_stddev_groups_are_strided():
    x = jnp.zeros((4, 2, 2, 3)).at[2:].set(2.0)  # with groups of 2, samples {0, 2} and {1, 3} differ by 2
    out = layers.minibatch_stddev(x, 2)
    assert out.shape == (4, 2, 2, 4)
    np.testing.assert_allclose(out[..., -1], 1.0, atol=1e-6)
    np.testing.assert_allclose(layers.minibatch_stddev(x, 64)[..., -1], 1.0, atol=1e-6)


def test_batch_norm_normalises_and_follows_the_unbiased_variance():
    norm = layers.BatchNorm()
    x = 3.0 + 2.0 * _draw(0, 4, 2, 2, 3)
    variables = norm.init(jax.random.key(1), x, True)
    y, new = norm.apply(variables, x, True, mutable=["batch_stats"])
    plain = (y - variables["params"]["bias"]) / variables["params"]["scale"]
    np.testing.assert_allclose(plain.mean((0, 1, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(plain.var((0, 1, 2)), 1.0, atol=1e-4)
    flat = np.asarray(x).reshape(-1, 3)
    np.testing.assert_allclose(new["batch_stats"]["mean"], 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(new["batch_stats"]["var"], 0.9 + 0.1 * flat.var(0, ddof=1), rtol=1e-5)


def test_lrelu_keeps_the_scale_of_stylegan2():
    np.testing.assert_allclose(layers.lrelu(jnp.array([-1.0, 2.0])), [-0.2 * 2**0.5, 2 * 2**0.5], rtol=1e-6)
