"""Self-attention over feature maps (Zhang et al. 2019, as BigGAN uses it), and the pooling that goes with it."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from ganx.models.spectral import SpectralConv, WeightRule


def nearest_up(x: jax.Array) -> jax.Array:
    """Every position twice along both axes: `[n, h, w, c]` to `[n, 2h, 2w, c]`."""
    n, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c)).reshape(n, 2 * h, 2 * w, c)


def mean_down(x: jax.Array) -> jax.Array:
    """Means of 2 x 2 positions: `[n, h, w, c]` to `[n, h/2, w/2, c]`."""
    return _squares(x).mean((2, 4))


def max_down(x: jax.Array) -> jax.Array:
    """Maxima of 2 x 2 positions: `[n, h, w, c]` to `[n, h/2, w/2, c]`."""
    return _squares(x).max((2, 4))


def _squares(x: jax.Array) -> jax.Array:
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c)


class SelfAttention(nn.Module):
    """Every position looks at all squares of 2 x 2: `x + gamma o(softmax(theta phi^T) g)`, gamma 0 at first.

    theta, phi and g are 1 x 1 convolutions to c/8, c/8 and c/2 channels, phi and g then max-pooled; no scaling
    of the logits, no biases.
    """

    rule: WeightRule

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        n, h, w, c = x.shape
        conv = functools.partial(SpectralConv, kernel=1, bias=False, rule=self.rule)
        few, half = max(c // 8, 1), max(c // 2, 1)
        theta = conv(features=few, name="theta")(x, train).reshape(n, h * w, few)
        phi = max_down(conv(features=few, name="phi")(x, train)).reshape(n, -1, few)
        g = max_down(conv(features=half, name="g")(x, train)).reshape(n, -1, half)
        logits = jnp.einsum("nqc,nkc->nqk", theta, phi, preferred_element_type=jnp.float32)
        seen = jnp.einsum("nqk,nkc->nqc", nn.softmax(logits).astype(g.dtype), g)
        out = conv(features=c, name="o")(seen.reshape(n, h, w, half), train)
        gamma = self.param("gamma", nn.initializers.zeros, ())
        return x + gamma.astype(x.dtype) * out.astype(x.dtype)
