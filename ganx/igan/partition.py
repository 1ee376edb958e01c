"""Which filter belongs to which group: fitted cold, refitted warm, with labels that keep their meaning."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax

from ganx.igan import mixture
from ganx.igan.filters import FilterStats, scaled


@dataclasses.dataclass(frozen=True)
class Partition:
    """m filters in c groups: the paper's Q and Θ. A pytree; one partition serves all images.

    Attributes:
      labels: group of every filter, int32 `[m]`. A dead filter has the group of its nearest centre.
      alive: which filters are not dead, bool `[m]`.
      weights: p_c, `[c]`.
      centres: μ_c, `[c, k]`, in the units of the fit (see `filters.scaled`).
      variances: σ_c², `[c]`.
      log_likelihood: L_GMM.
    """

    labels: jax.Array
    alive: jax.Array
    weights: jax.Array
    centres: jax.Array
    variances: jax.Array
    log_likelihood: jax.Array

    @property
    def groups(self) -> int:
        """Number of groups c."""
        return len(self.weights)

    @property
    def sizes(self) -> jax.Array:
        """Living filters of every group, float32 `[c]`."""
        return self.alive.astype(jnp.float32) @ membership(self.labels, self.groups)


_FIELDS = ["labels", "alive", "weights", "centres", "variances", "log_likelihood"]
jax.tree_util.register_dataclass(Partition, _FIELDS, [])


def membership(labels: jax.Array, groups: int) -> jax.Array:
    """A_jc = 1 where filter j is of group c: float32 `[m, c]`."""
    return jax.nn.one_hot(labels, groups)


@functools.partial(jax.jit, static_argnames=("groups", "restarts", "iterations", "normalize"))
def fit_partition(
    stats: FilterStats,
    key: jax.Array,
    groups: int = 24,
    *,
    restarts: int = 5,
    iterations: int = 30,
    normalize: str = "rms",
    prior: float = 1.0,
    floor: float = 1e-3,
) -> Partition:
    """A partition from nothing: the most likely of several fits.

    Args:
      stats: of the filters over many images.
      key: decides the starts.
      groups: how many (paper: 24).
      restarts, iterations: k-means++ starts, and EM iterations of each (ours).
      normalize: "rms" (ours) or "none" (as in the paper), see `filters.scaled`.
      prior, floor: see `mixture.fit` (ours).
    """
    maps, data = _points(stats, normalize)
    return _partition(data, maps, mixture.fit_best(data, key, groups, restarts, iterations, prior, floor))


@functools.partial(jax.jit, static_argnames=("iterations", "normalize"))
def refit_partition(
    stats: FilterStats,
    old: Partition,
    *,
    iterations: int = 5,
    normalize: str = "rms",
    prior: float = 1.0,
    floor: float = 1e-3,
) -> Partition:
    """A partition from the old one's groups: labels keep their meaning, since EM starts at their centres (ours)."""
    maps, data = _points(stats, normalize)
    found, _ = mixture.fit(data, membership(old.labels, old.groups), iterations, prior, floor)
    return _partition(data, maps, found)


def _points(stats: FilterStats, normalize: str) -> tuple[jax.Array, mixture.Points]:
    maps, scatter = scaled(stats, normalize)
    return maps, mixture.points(maps, scatter, stats.alive, stats.images)


def _partition(data: mixture.Points, maps: jax.Array, found: mixture.Mixture) -> Partition:
    """q_j = argmax_c P(q_j = c | F_j) (paper, text after eq. 2)."""
    likely, nearest = mixture.log_joint(data, found).argmax(1), found.distances.argmin(1)
    centres = jnp.matmul(found.mixing.T, maps, precision=jax.lax.Precision.HIGHEST)
    labels = jnp.where(data.alive > 0, likely, nearest).astype(jnp.int32)
    likelihood = mixture.log_likelihood(data, found)
    return Partition(labels, data.alive > 0, found.weights, centres, found.variances, likelihood)


def overlap(a: jax.Array, b: jax.Array, groups: int) -> jax.Array:
    """Number of filters in group i of labelling `a` and group j of labelling `b`: float32 `[c, c]`."""
    return membership(a, groups).T @ membership(b, groups)


def match_labels(new: Partition, old: Partition) -> Partition:
    """The new partition with its groups renamed after those of the old that they share most filters with.

    For a cold refit: weights belong to groups by name, so names must not change (ours; optimal assignment).
    """
    rows, columns = optax.assignment.hungarian_algorithm(-overlap(new.labels, old.labels, new.groups))
    return relabel(new, jnp.zeros(new.groups, jnp.int32).at[rows].set(columns.astype(jnp.int32)))


def relabel(partition: Partition, names: jax.Array) -> Partition:
    """The same partition with group i called `names[i]`, a permutation int `[c]`."""
    order = jnp.argsort(names)
    return dataclasses.replace(
        partition,
        labels=names[partition.labels].astype(jnp.int32),
        weights=partition.weights[order],
        centres=partition.centres[order],
        variances=partition.variances[order],
    )


def hold(frozen: jax.Array | bool, old: Partition, new: Partition) -> Partition:
    """The old partition if `frozen` (it may be traced), else the new one.

    Once the push on the weights has decayed nothing re-signs them, so a later change of groups would leave the weights
    contradicting them (ours).
    """
    return jax.tree.map(lambda a, b: jnp.where(frozen, a, b), old, new)
