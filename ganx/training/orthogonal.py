"""Orthogonal regularisation (Brock et al. 2019, §3.1, eq. 3): filters are kept apart, their lengths left alone.

The penalty `strength/2 |W W^T ∘ (1 - I)|²_F` enters as its gradient, which costs two matrix products a layer and no
second pass through the network. (The reference multiplies by 2, so its strength of 1e-4 is that of `|…|²_F / 2`.)
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from ganx.errors import GanxError

Tree = Any
# G's class vectors say how classes are related, which the penalty would undo
SHARED = "shared"


def orthogonal_gradient(weight: jax.Array, embedding: bool = False) -> jax.Array:
    """`2 (W W^T ∘ (1 - I)) W` in the shape of `weight`.

    Args:
      weight: a canonical kernel, `[in, out]` or `[kh, kw, in, out]`, whose rows W are its outputs; as an embedding
        `[classes, d]` they are its classes.
      embedding: whether it is one.
    """
    matrix = weight if embedding else weight.reshape(-1, weight.shape[-1]).T
    gram = matrix @ matrix.T
    apart = gram * (1.0 - jnp.eye(len(gram), dtype=gram.dtype))
    gradient = 2.0 * apart @ matrix
    return gradient if embedding else gradient.T.reshape(weight.shape)


def orthogonal(strength: float = 1e-4, spared: str = SHARED) -> optax.GradientTransformation:
    """Adds `strength` times `orthogonal_gradient` to the gradient of every parameter with two axes or more.

    Chain it before the optimiser: `optax.chain(orthogonal(1e-4), optax.adam(...))`.

    Args:
      strength: 1e-4 in the paper; the published BigGAN-PyTorch script has it off.
      spared: top-level name of the parameters that it leaves alone.
    """
    if strength < 0:
        raise GanxError(f"the strength of orthogonal regularisation is 0 or more, not {strength}")

    def add(path: tuple[Any, ...], grad: jax.Array, weight: jax.Array) -> jax.Array:
        names = [key.key for key in path]
        if weight.ndim < 2 or names[0] == spared:
            return grad
        slope = orthogonal_gradient(weight.astype(jnp.float32), embedding=names[-1] == "embedding")
        return grad + strength * slope.astype(grad.dtype)

    def update(updates: Tree, state: Tree, params: Tree | None = None) -> tuple[Tree, Tree]:
        if params is None:
            raise ValueError("orthogonal regularisation needs the parameters: update(grads, state, params)")
        return jax.tree_util.tree_map_with_path(add, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
