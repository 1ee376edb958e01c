"""Penalties on input gradients, differentiated forward over reverse.

All of them need d/dθ h(∇ₓ f_θ(x)). With t = ∇h at that gradient this is d/dε ∇θ f_θ(x + εt) at ε = 0: one
linearisation of an ordinary gradient, made of ordinary convolutions. Reverse over reverse makes dilated
weight-gradient convolutions that XLA:CPU runs about ten times slower, except where every convolution is one of
`ganx.models.correlate`: there the two cost the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Tree = Any
Critic = Callable[[Tree, jax.Array], jax.Array]

_EPSILON = 1e-12  # keeps the norm differentiable where a gradient vanishes


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def gradient_penalty(critic: Critic, h: Callable[[jax.Array], jax.Array], params: Tree, x: jax.Array) -> jax.Array:
    """`h(∇ₓ Σ critic(params, x))`, a scalar. Differentiable in `params` only: `x` counts as a constant.

    Args:
      critic: `(params, x [n, ...]) -> [n]`; must not update statistics.
      h: `[n, ...] -> scalar`, such as `r1` or `wgan_gp`.
      params: the critic's parameters.
      x: `[n, ...]`, where the gradient is taken.
    """
    return h(jax.grad(lambda x: critic(params, x).sum())(x))


def _penalty_fwd(critic: Critic, h: Callable[[jax.Array], jax.Array], params: Tree, x: jax.Array) -> Any:
    def gradients(x: jax.Array) -> tuple[Tree, jax.Array]:
        return jax.grad(lambda params, x: critic(params, x).sum(), (0, 1))(params, x)

    (_, slope), linear = jax.linearize(gradients, x)
    value, direction = jax.value_and_grad(h)(slope)
    return value, linear(direction)[0]


def _penalty_bwd(critic: Critic, h: Callable[[jax.Array], jax.Array], grads: Tree, ct: jax.Array) -> tuple[Tree, None]:
    del critic, h
    return jax.tree.map(lambda g: ct * g, grads), None


gradient_penalty.defvjp(_penalty_fwd, _penalty_bwd)


def _norms_squared(g: jax.Array) -> jax.Array:
    return jnp.square(g).sum(tuple(range(1, g.ndim)))


def r1(g: jax.Array) -> jax.Array:
    """½ E‖g‖² (Mescheder et al. 2018, eq. 9, without its γ) of gradients `[n, ...]`."""
    return 0.5 * _norms_squared(g).mean()


def wgan_gp(g: jax.Array) -> jax.Array:
    """E(‖g‖ − 1)² (Gulrajani et al. 2017, eq. 3, without its λ) of gradients `[n, ...]`."""
    return jnp.square(jnp.sqrt(_norms_squared(g) + _EPSILON) - 1).mean()


def path_length(
    images: Callable[[Tree, jax.Array], jax.Array],
    codes: Callable[[Tree], jax.Array],
    params: Tree,
    noise: jax.Array,
    mean: jax.Array,
    decay: float = 0.01,
) -> tuple[tuple[jax.Array, jax.Array], Tree]:
    """Path length regularisation (Karras et al. 2020, eq. 4) and its gradient.

    The length of a sample is sqrt(mean over layers of ‖∂ Σ(image · noise)/√(HW) / ∂w‖²). The running mean moves first,
    by `decay`, and the penalty E(length − mean)² is taken against it, its share of this batch included in the
    gradient, as the authors' code does.

    Args:
      images: `(params, ws [n, layers, d]) -> [n, H, W, C]`.
      codes: `params -> ws`.
      params: the generator's parameters.
      noise: standard normal, of the images' shape.
      mean: running mean of the lengths, a scalar.
      decay: how far the mean moves towards the batch's.

    Returns:
      `((penalty, new mean), gradient of the penalty in params)`; neither depends on a weight.
    """
    scaled = noise / jnp.sqrt(noise.shape[1] * noise.shape[2])

    def h(slope: jax.Array) -> tuple[jax.Array, jax.Array]:
        lengths = jnp.sqrt(jnp.square(slope).sum(2).mean(1) + _EPSILON)
        moved = mean + decay * (lengths.mean() - mean)
        return jnp.square(lengths - moved).mean(), moved

    def gradients(ws: jax.Array) -> tuple[Tree, jax.Array]:
        return jax.grad(lambda params, ws: (images(params, ws) * scaled).sum(), (0, 1))(params, ws)

    ws, pull = jax.vjp(codes, params)
    (_, slope), linear = jax.linearize(gradients, ws)
    (value, moved), direction = jax.value_and_grad(h, has_aux=True)(slope)
    through_params, through_codes = linear(direction)
    grads = jax.tree.map(jnp.add, through_params, pull(through_codes)[0])
    return (value, moved), grads
