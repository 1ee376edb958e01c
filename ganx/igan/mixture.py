"""The mixture of Gaussians over filters, fitted by EM (paper eq. 2).

    P(F_j) = Σ_c p_c Π_i N(f_i^j; μ_c, σ_c² I)

With a filter's mean map m_j and scatter v_j, the term of filter j in group c is (ours)

    log p_c - N K/2 log(2π σ_c²) - N/(2 σ_c²) (|m_j - μ_c|² + v_j)

and since μ_c is a weighted mean of mean maps, every distance follows from the m x m matrix of their inner
products: EM never touches the k positions, and the matrix is shared by all restarts. How EM starts, when it ends, the
prior on p_c, the floor of σ_c² and the care of empty groups are ours; the paper gives none.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

_EMPTY = 0.5  # filters: a group with less than this has nobody
_TINY = 1e-30


@dataclasses.dataclass(frozen=True)
class Points:
    """m filters as the mixture sees them. A pytree.

    Attributes:
      inner: inner products of the mean maps, centred on their mean, `[m, m]`.
      scatter: mean squared distance of a filter's maps from its mean map, `[m]`.
      alive: 1 for filters that count and 0 for dead ones, float32 `[m]`.
      images: number of images N.
      positions: number of positions K, a Python int.
    """

    inner: jax.Array
    scatter: jax.Array
    alive: jax.Array
    images: jax.Array
    positions: int

    @property
    def pooled(self) -> jax.Array:
        """Variance σ² of all living filters as one group."""
        spread = jnp.diagonal(self.inner) + self.scatter
        return (self.alive * spread).sum() / (self.positions * jnp.maximum(self.alive.sum(), 1.0))


@dataclasses.dataclass(frozen=True)
class Mixture:
    """c groups. A pytree.

    Attributes:
      weights: p_c, `[c]`.
      mixing: `[m, c]`, columns sum to one; the centre μ_c is Σ_j mixing[j, c] m_j.
      distances: |m_j - μ_c|², `[m, c]`.
      variances: σ_c², `[c]`.
    """

    weights: jax.Array
    mixing: jax.Array
    distances: jax.Array
    variances: jax.Array


jax.tree_util.register_dataclass(Points, ["inner", "scatter", "alive", "images"], ["positions"])
jax.tree_util.register_dataclass(Mixture, ["weights", "mixing", "distances", "variances"], [])


def points(maps: jax.Array, scatter: jax.Array, alive: jax.Array, images: jax.Array) -> Points:
    """From mean maps `[m, k]` and scatters `[m]`; see `filters.scaled`."""
    alive = alive.astype(jnp.float32)
    centre = (alive @ maps) / jnp.maximum(alive.sum(), 1.0)
    apart = maps - centre
    inner = jnp.matmul(apart, apart.T, precision=jax.lax.Precision.HIGHEST)
    return Points(inner, scatter, alive, images, maps.shape[1])


def log_joint(data: Points, mixture: Mixture) -> jax.Array:
    """log p_c P(F_j | c), `[m, c]`."""
    count, variances = data.images * data.positions, mixture.variances
    fit = data.images * (mixture.distances + data.scatter[:, None]) / (2 * variances)
    return jnp.log(mixture.weights) - count / 2 * jnp.log(2 * jnp.pi * variances) - fit


def log_likelihood(data: Points, mixture: Mixture) -> jax.Array:
    """L_GMM over the living filters (paper eq. 2)."""
    return (data.alive * jax.nn.logsumexp(log_joint(data, mixture), axis=1)).sum()


def maximise(data: Points, share: jax.Array, prior: jax.Array | float, floor: jax.Array | float) -> Mixture:
    """The M-step for responsibilities `share` `[m, c]`; `prior` and `floor` as for `fit`.

    A group that has nobody starts again at the filter farthest from all other centres.
    """
    share = share * data.alive[:, None]
    size = share.sum(0)
    weights = (size + prior) / (size + prior).sum()
    mixing = share / jnp.maximum(size, _TINY)
    projected = jnp.matmul(data.inner, mixing, precision=jax.lax.Precision.HIGHEST)
    distances = _distances(data, mixing, projected)
    empty = size < _EMPTY
    mixing, projected = _reseed(data, empty, distances, mixing, projected)
    distances = _distances(data, mixing, projected)
    spread = (share * (distances + data.scatter[:, None])).sum(0)
    variances = spread / (data.positions * jnp.maximum(size, _TINY))
    usual = jnp.where(empty, 0.0, variances).sum() / jnp.maximum((~empty).sum(), 1)
    variances = jnp.where(empty, usual, variances)
    lowest = jnp.maximum(floor * data.pooled, jnp.finfo(jnp.float32).tiny)
    return Mixture(jnp.maximum(weights, _TINY), mixing, distances, jnp.maximum(variances, lowest))


def _distances(data: Points, mixing: jax.Array, projected: jax.Array) -> jax.Array:
    """|m_j - μ_c|² from `projected`, the inner products of filters and centres."""
    own, centre = jnp.diagonal(data.inner)[:, None], (mixing * projected).sum(0)
    return jnp.maximum(own - 2 * projected + centre, 0.0)


def _reseed(
    data: Points, empty: jax.Array, distances: jax.Array, mixing: jax.Array, projected: jax.Array
) -> tuple[jax.Array, jax.Array]:
    gap = jnp.where(data.alive > 0, jnp.where(empty, jnp.inf, distances).min(1), -1.0)
    farthest = jax.lax.top_k(gap, min(len(empty), len(gap)))[1]
    chosen = farthest[jnp.clip(jnp.cumsum(empty) - 1, 0, len(farthest) - 1)]
    alone = jax.nn.one_hot(chosen, len(gap)).T
    return jnp.where(empty, alone, mixing), jnp.where(empty, data.inner[:, chosen], projected)


def fit(
    data: Points, share: jax.Array, iterations: int, prior: jax.Array | float = 1.0, floor: jax.Array | float = 1e-3
) -> tuple[Mixture, jax.Array]:
    """EM from responsibilities `share`.

    Args:
      data: the filters.
      share: `[m, c]`, rows sum to one.
      iterations: how many.
      prior: pseudo-filters that every group's weight p_c is computed with.
      floor: least variance of a group, as a part of the pooled variance.

    Returns:
      The mixture, and L_GMM before each iteration, `[iterations]`. With `prior` and `floor` at 0 and no empty
      group it never falls.
    """

    def body(mixture: Mixture, _: None) -> tuple[Mixture, jax.Array]:
        joint = log_joint(data, mixture)
        total = jax.nn.logsumexp(joint, axis=1)
        return maximise(data, jnp.exp(joint - total[:, None]), prior, floor), (data.alive * total).sum()

    return jax.lax.scan(body, maximise(data, share, prior, floor), length=iterations)


def seed(data: Points, key: jax.Array, groups: int) -> jax.Array:
    """k-means++: responsibilities `[m, c]` of the seeds nearest to each filter.

    Seeds are living filters, each drawn with probability proportional to its squared distance from those drawn before
    (Arthur and Vassilvitskii 2007).
    """
    own, dead = jnp.diagonal(data.inner), jnp.where(data.alive > 0, 0.0, -jnp.inf)

    def apart(index: jax.Array) -> jax.Array:
        return jnp.maximum(own + own[index] - 2 * data.inner[index], 0.0)

    def draw(gap: jax.Array, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
        away = apart((jnp.log(jnp.maximum(gap, _TINY)) + dead + noise).argmax())
        return jnp.minimum(gap, away), away

    noise = jax.random.gumbel(key, (groups, len(own)))  # the largest of log p + Gumbel noise is a draw from p
    first = apart((dead + noise[0]).argmax())
    away = jnp.concatenate([first[None], jax.lax.scan(draw, first, noise[1:])[1]])
    return jax.nn.one_hot(away.argmin(0), groups)


def fit_best(
    data: Points,
    key: jax.Array,
    groups: int,
    restarts: int,
    iterations: int,
    prior: jax.Array | float = 1.0,
    floor: jax.Array | float = 1e-3,
) -> Mixture:
    """The most likely of `restarts` mixtures fitted from k-means++ starts, all at once."""

    def start(key: jax.Array) -> tuple[Mixture, jax.Array]:
        mixture, _ = fit(data, seed(data, key, groups), iterations, prior, floor)
        return mixture, log_likelihood(data, mixture)

    mixtures, scores = jax.vmap(start)(jax.random.split(key, restarts))
    best = scores.argmax()
    return jax.tree.map(lambda leaf: leaf[best], mixtures)
