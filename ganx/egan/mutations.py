"""Mutations: the objectives by which a parent's children take their one step (Wang et al. 2019, §3.3).

Each is a function of the discriminator's logits `[n]` of one child's samples, a scalar to minimise. They have the
code's form, without the paper's factor 1/2, which Adam does not see.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.nn import sigmoid, softplus

from ganx.errors import GanxError, unknown

Mutation = Callable[[jax.Array], jax.Array]


def minimax(logits: jax.Array) -> jax.Array:
    """E log(1 - D) (eq. 3), D = sigmoid(logit)."""
    return -softplus(logits).mean()


def heuristic(logits: jax.Array) -> jax.Array:
    """-E log D (eq. 4): the non-saturating loss."""
    return softplus(-logits).mean()


def least_squares(logits: jax.Array) -> jax.Array:
    """E (D - 1)^2 (eq. 5) of the probability, as the paper and its Theano release have it.

    In the logit its slope is -2 D (1 - D)^2, so that it does saturate where D rejects a sample.
    """
    return jnp.square(sigmoid(logits) - 1).mean()


def least_squares_logit(logits: jax.Array) -> jax.Array:
    """E (logit - 1)^2, what the authors' PyTorch release does; it does not saturate."""
    return jnp.square(logits - 1).mean()


def hinge(logits: jax.Array) -> jax.Array:
    """-E logit: the generator's side of the hinge loss (Lim & Ye 2017)."""
    return -logits.mean()


def wasserstein(logits: jax.Array) -> jax.Array:
    """-E logit (Arjovsky et al. 2017)."""
    return -logits.mean()


MUTATIONS: dict[str, Mutation] = {
    "minimax": minimax,
    "heuristic": heuristic,
    "least_squares": least_squares,
    "least_squares_logit": least_squares_logit,
    "hinge": hinge,
    "wasserstein": wasserstein,
}


def register(name: str, mutation: Mutation) -> None:
    """Makes a function of logits a mutation that configurations can name; a config file may do so itself.

    Raises:
      GanxError: the name is another function's already.
    """
    known = MUTATIONS.setdefault(name, mutation)
    if known is not mutation and known.__qualname__ != mutation.__qualname__:
        raise GanxError(f"there is a mutation {name!r} already; give yours another name")
    MUTATIONS[name] = mutation


def chosen(names: Sequence[str]) -> tuple[Mutation, ...]:
    """The mutations of those names, or a `GanxError` that lists them."""
    if not names:
        raise GanxError("egan.mutations is empty; name at least one of " + ", ".join(MUTATIONS))
    for name in names:
        if name not in MUTATIONS:
            raise unknown("mutation", name, MUTATIONS)
    return tuple(MUTATIONS[name] for name in names)


def number(name: str) -> int:
    """What a mutation's noise is drawn by: its name, never its place in the list."""
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


def slopes(mutations: Sequence[Mutation], logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Every mutation's value `[H]` and its gradient in the logits `[H, n]`.

    A child selects its row, so that a mutation that overflows does not reach the children of the others.
    """
    pairs = [jax.value_and_grad(mutation)(logits) for mutation in mutations]
    return jnp.stack([value for value, _ in pairs]), jnp.stack([slope for _, slope in pairs])
