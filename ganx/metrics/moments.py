"""Mean and covariance of features, streamed: float32 sums about a fixed shift on the device, float64 on the host.

Subtracting a constant near the mean first is what keeps float32 sums exact enough; a running compensation (Kahan)
keeps long streams so. A batch sharded over devices gives the same sums: XLA adds the devices' parts.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganx.arrays import read_npz
from ganx.errors import GanxError

_HIGHEST = jax.lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True)
class Moments:
    """What the Fréchet distance needs of a set of features.

    Attributes:
      count: number of samples, 0 where a file did not say.
      mean: float64 `[d]`.
      covariance: float64 `[d, d]`, divided by count - ddof.
      ddof: 1 (unbiased) or 0.
    """

    count: int
    mean: np.ndarray
    covariance: np.ndarray
    ddof: int = 1

    def with_ddof(self, ddof: int) -> Moments:
        """The same sums under the other divisor."""
        if ddof == self.ddof:
            return self
        if not self.count:
            raise GanxError("these statistics do not say of how many images they are; use the preset they were made by")
        factor = (self.count - self.ddof) / (self.count - ddof)
        return Moments(self.count, self.mean, self.covariance * factor, ddof)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `.npz` with `mu` and `sigma`, as pytorch-fid does, and `count` and `ddof` besides."""
        with open(path, "wb") as file:
            np.savez(file, mu=self.mean, sigma=self.covariance, count=self.count, ddof=self.ddof)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Moments:
        """Reads what `save` or pytorch-fid wrote.

        Raises:
          GanxError: no such file, damaged, or other arrays.
        """
        arrays = read_npz(os.fspath(path), "statistics", "give an .npz with mu and sigma")
        if not {"mu", "sigma"} <= set(arrays):
            raise GanxError(f"{path} holds no statistics; give an .npz with mu and sigma")
        count, ddof = (int(arrays[k]) if k in arrays else v for k, v in (("count", 0), ("ddof", 1)))
        found = cls(count, arrays["mu"].astype(np.float64), arrays["sigma"].astype(np.float64), ddof)
        if found.covariance.shape != found.mean.shape * 2 or found.mean.ndim != 1:
            raise GanxError(
                f"{path} holds mu {list(found.mean.shape)} and sigma {list(found.covariance.shape)}; no pair"
            )
        return found


class Sums(NamedTuple):
    """Running sums on the device: of x - shift and of its outer product, each with what rounding has lost so far."""

    shift: jax.Array
    first: jax.Array
    first_lost: jax.Array
    second: jax.Array
    second_lost: jax.Array
    number: jax.Array


def start(shift: jax.Array) -> Sums:
    """Empty sums about `shift` `[d]`, which should be near the mean."""
    d = shift.shape[0]
    own = jnp.array(shift, jnp.float32)  # copies, no two leaves alike: `add` gives them all away
    return Sums(own, jnp.zeros(d), jnp.zeros(d), jnp.zeros((d, d)), jnp.zeros((d, d)), jnp.zeros((), jnp.int32))


@functools.partial(jax.jit, donate_argnums=0)
def add(sums: Sums, features: jax.Array, mask: jax.Array) -> Sums:
    """Sums with the rows of `features` `[n, d]` whose `mask`, bool `[n]`, is set. The old sums are given away."""
    x = jnp.where(mask[:, None], features.astype(jnp.float32) - sums.shift, 0.0)
    first, first_lost = _compensated(sums.first, sums.first_lost, x.sum(0))
    product = jax.lax.dot_general(x, x, (((0,), (0,)), ((), ())), precision=_HIGHEST)
    second, second_lost = _compensated(sums.second, sums.second_lost, product)
    return Sums(sums.shift, first, first_lost, second, second_lost, sums.number + mask.sum(dtype=jnp.int32))


def finish(sums: Sums, ddof: int = 1) -> Moments:
    """Moments in float64 on the host.

    Raises:
      GanxError: fewer than two samples, or features that are not finite.
    """
    shift, first, first_lost, second, second_lost, count = (np.asarray(x, np.float64) for x in jax.device_get(sums))
    n = int(count)
    if n < 2:
        raise GanxError(f"statistics need two images or more, not {n}")
    first, second = first - first_lost, second - second_lost
    if not np.isfinite(second).all():
        raise GanxError("the features are not finite; look at the images for NaN, or at the weights of the network")
    scatter = second - np.outer(first, first) / n
    return Moments(n, shift + first / n, (scatter + scatter.T) / (2 * (n - ddof)), ddof)


def moments(features: np.ndarray | jax.Array | Iterable[jax.Array], ddof: int = 1, batch: int = 1024) -> Moments:
    """Moments of features `[n, d]`, or of a stream of such batches."""
    batches = _rows(features, batch) if isinstance(features, np.ndarray | jax.Array) else features
    sums: Sums | None = None
    for rows in batches:
        size = len(rows)
        x = rows.astype(jnp.float32)
        if size < batch and isinstance(features, np.ndarray | jax.Array):
            x = jnp.pad(x, ((0, batch - size), (0, 0)))  # one compiled program for all batches
        sums = start(x[:size].mean(0)) if sums is None else sums
        sums = add(sums, x, jnp.arange(len(x)) < size)
    if sums is None:
        raise GanxError("statistics need two images or more, not 0")
    return finish(sums, ddof)


def _rows(features: np.ndarray | jax.Array, batch: int) -> Iterable[jax.Array]:
    return (jnp.asarray(features[i : i + batch]) for i in range(0, len(features), batch))


def _compensated(total: jax.Array, lost: jax.Array, term: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Kahan's sum: the new total, and how much too large it is."""
    term = term - lost
    new = total + term
    return new, (new - total) - term
