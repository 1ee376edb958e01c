"""The random numbers of one call: a few for each image, drawn at once and dealt out in order."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import erfinv
from jax.sharding import Mesh

from ganx.training.mesh import shard_batch

_UNIFORMS, _NORMALS = 40, 16  # at least what one pipeline with every transform takes


class Dice:
    """Deals columns of random numbers, and says for which images a transform fires.

    With a percentile p every transform fires, and draws what a deterministic run would: p for a uniform number,
    erfinv(2p - 1) for a normal one (without the factor √2 of a true quantile, as in the authors' debugging switch).
    """

    def __init__(
        self, key: jax.Array, n: int, p: jax.Array | float, percentile: float | None = None, mesh: Mesh | None = None
    ) -> None:
        uniform_key, normal_key = jax.random.split(key)
        self._uniform = iter(shard_batch(jax.random.uniform(uniform_key, (n, _UNIFORMS)), mesh).T)
        self._normal = iter(shard_batch(jax.random.normal(normal_key, (n, _NORMALS)), mesh).T)
        self._n, self._p, self._percentile = n, p, percentile

    def uniform(self) -> jax.Array:
        """`[n]` in [0, 1)."""
        return self._or_percentile(next(self._uniform), lambda p: jnp.float32(p))

    def normal(self) -> jax.Array:
        """`[n]`, standard normal."""
        return self._or_percentile(next(self._normal), lambda p: erfinv(jnp.float32(2 * p - 1)))

    def half_normal(self) -> jax.Array:
        """`[n]`, absolute value of a standard normal."""
        return self._or_percentile(jnp.abs(next(self._normal)), lambda p: erfinv(jnp.float32(p)))

    def gate(
        self,
        multiplier: float,
        value: jax.Array,
        neutral: float,
        chance: Callable[[jax.Array], jax.Array] | None = None,
    ) -> jax.Array:
        """`value` `[n, ...]` where the transform fires, `neutral` elsewhere.

        Args:
          multiplier: of p.
          value: what the transform would do to each image.
          neutral: what leaves an image alone.
          chance: turns p times the multiplier into the probability of firing, if it is not that itself.
        """
        draw = next(self._uniform)
        if self._percentile is not None:
            return value
        rate = jnp.asarray(self._p, jnp.float32) * multiplier
        fires = draw < (rate if chance is None else chance(rate))
        return jnp.where(fires.reshape(-1, *[1] * (value.ndim - 1)), value, neutral)

    @property
    def fixed(self) -> bool:
        """Whether a percentile decides, not chance."""
        return self._percentile is not None

    def _or_percentile(self, drawn: jax.Array, quantile: Callable[[float], jax.Array]) -> jax.Array:
        return drawn if self._percentile is None else jnp.full(self._n, quantile(self._percentile))
