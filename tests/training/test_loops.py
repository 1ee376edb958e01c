"""Rolled and unrolled forms agree; the choice is made in one place and shows in the program."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.training import loops

DIMS = ("NHWC", "HWIO", "NHWC")


def _body(carry, x):
    carry = jnp.sin(carry) + x
    return carry, {"twice": 2 * carry}


def _same(a, b):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), a, b)


def test_cpu_unrolls_and_choose_overrides_it():
    assert loops.unrolled()
    with loops.choose(False):
        assert not loops.unrolled()
        with loops.choose(True):
            assert loops.unrolled()
    assert loops.unrolled()


@pytest.mark.parametrize("length", [0, 1, 4])
@pytest.mark.parametrize("unroll", [False, True])
def test_inner_loop_is_scan(length, unroll):
    xs = jnp.linspace(0.0, 1.0, length)
    with loops.choose(unroll):
        _same(loops.inner_loop(_body, jnp.float32(0.3), xs), jax.lax.scan(_body, jnp.float32(0.3), xs))


@pytest.mark.parametrize("length", [1, 4])
def test_an_unrolled_loop_leaves_no_while(length):
    def program(unroll):
        with loops.choose(unroll):
            return jax.jit(lambda c: loops.inner_loop(_body, c, jnp.zeros(length))).lower(0.3).as_text()

    assert "while" not in program(True)
    assert "while" in program(False)


def test_inner_loop_is_differentiable_either_way():
    def slope(unroll):
        with loops.choose(unroll):
            return jax.grad(lambda c: loops.inner_loop(_body, c, length=3, xs=jnp.ones(3))[0])(0.3)

    np.testing.assert_allclose(slope(True), slope(False), rtol=1e-6)


def test_map_members_agrees_and_avoids_grouped_convolutions():
    kernels = jax.random.normal(jax.random.key(0), (3, 3, 3, 2, 2))
    x = jax.random.normal(jax.random.key(1), (2, 4, 4, 2))

    def member(kernel, x, scale):
        for _ in range(2):  # the second one's input differs between members as its kernel does
            x = jax.lax.conv_general_dilated(x, kernel["k"], (1, 1), "SAME", dimension_numbers=DIMS)
        return {"y": scale * x}

    def run(unroll):
        with loops.choose(unroll):
            mapped = jax.jit(lambda k: loops.map_members(member, {"k": k}, x, 2.0))
            return mapped(kernels), mapped.lower(kernels).as_text()

    (unrolled, text), (vmapped, grouped) = run(True), run(False)
    assert unrolled["y"].shape == (3, 2, 4, 4, 2)
    np.testing.assert_allclose(unrolled["y"], vmapped["y"], rtol=1e-4, atol=1e-4)
    assert "feature_group_count = 3" in grouped
    assert "feature_group_count = 3" not in text


@pytest.mark.parametrize("due", [True, False])
def test_when_picks_while_tracing_for_a_bool_and_at_run_time_for_an_array(due):
    def branch(due, x):
        return loops.when(due, lambda x: x + 1, lambda x: x - 1, x)

    static = jax.jit(lambda x: branch(due, x))
    dynamic = jax.jit(branch)
    want = 3.0 if due else 1.0
    assert static(2.0) == dynamic(jnp.asarray(due), 2.0) == want
    assert "case" not in static.lower(2.0).as_text()
