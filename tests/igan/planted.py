"""Filters whose parts are known: Gaussian bumps on a 16 x 16 grid, with gains, jitter, noise and dead filters."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Gan, Spec
from ganx.igan.filters import FilterStats, filter_stats

SIDE, PARTS, FILTERS, DIMS = 16, 6, 96, 4
# the middles of two rows of three equal cells
CENTRES = np.array([((i + 0.5) * SIDE / 2 - 0.5, (j + 0.5) * SIDE / 3 - 0.5) for i in range(2) for j in range(3)])


def bumps(centres, sigma):
    """`[..., K]` for centres `[..., 2]`."""
    y, x = np.mgrid[:SIDE, :SIDE]
    square = (y - centres[..., 0, None, None]) ** 2 + (x - centres[..., 1, None, None]) ** 2
    return np.exp(-square / (2 * sigma**2)).reshape(*centres.shape[:-1], -1)


def parts(filters=FILTERS):
    return np.arange(filters) % PARTS


def maps(seed=0, images=64, gains=0.0, jitter=0.5, dead=0):
    """Features float32 `[n, k, m]` of filters that belong to `parts()`; the last `dead` filters never fire."""
    rng = np.random.default_rng(seed)
    shifts = rng.normal(0, jitter, (images, PARTS, 2))
    amplitude = np.exp(rng.normal(0, 0.3, (images, PARTS)))
    gain = np.exp(rng.normal(0, gains, FILTERS))
    gain[FILTERS - dead :] = 0
    clean = amplitude[..., None] * bumps(CENTRES + shifts, 2.0)
    noise = np.abs(rng.normal(0, 0.05, (images, FILTERS, SIDE**2)))
    return (gain[:, None] * (clean[:, parts()] + noise)).transpose(0, 2, 1).astype(np.float32)


def stats(seed=0, **how) -> FilterStats:
    return filter_stats(jnp.asarray(maps(seed, **how)))


@dataclasses.dataclass(frozen=True)
class Painter:
    """A generator with two stages: filters = amplitude x bump, image = tanh(0.1 x coloured sum).

    The amplitude of a filter is |u z|, u not zero only for the filter's part (or parts) of z.
    """

    def apply(self, variables, *args, method):
        if method == "begin":
            return args[0], {}
        (name,), x, context = args
        weights = variables["params"][name]
        if name == "filters":
            amplitude = jnp.abs(jnp.einsum("nd,dpm->npm", x, weights["mixing"]))
            return jnp.einsum("npm,pyx->nyxm", amplitude, weights["bumps"]), context
        return jnp.tanh(0.1 * x @ weights["colour"]), context


def painter(mixed=0.0, seed=0) -> Gan:
    """The generator as a `Gan`: parts by `parts()`, gains spread by a factor of e; the share `mixed` of the filters
    carries a second part as well."""
    rng = np.random.default_rng(seed)
    own = np.eye(PARTS)[parts()]
    both = rng.permutation(FILTERS) < mixed * FILTERS
    own[both, (parts()[both] + rng.integers(1, PARTS, both.sum())) % PARTS] = 1
    gain = np.exp(rng.normal(0, 1, FILTERS))
    mixing = rng.normal(0, 1, (DIMS, PARTS, FILTERS)) * own.T * gain / np.sqrt(DIMS)
    mixing = np.einsum("dpm,pq->pdqm", mixing, np.eye(PARTS)).reshape(-1, PARTS, FILTERS)
    draw = {"mixing": mixing, "bumps": bumps(CENTRES, 1.5).reshape(PARTS, SIDE, SIDE)}
    weights = {"filters": draw, "rgb": {"colour": rng.normal(0, 1, (FILTERS, 3))}}
    shapes = ((SIDE, SIDE, FILTERS), (SIDE, SIDE, 3))
    spec = Spec("painter", SIDE, 3, (PARTS * DIMS,), "normal", 0, ("filters", "rgb"), shapes)
    return Gan(Painter(), {"params": jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), weights)}, spec)


def masks() -> np.ndarray:
    """Where each part paints, bool `[parts, SIDE, SIDE]`."""
    return (bumps(CENTRES, 1.5) > 0.1).reshape(PARTS, SIDE, SIDE)


def regions() -> np.ndarray:
    """The masks where each pixel is its nearest part's alone, then the rest: bool `[parts + 1, SIDE, SIDE]`."""
    nearest = bumps(CENTRES, 1.5).reshape(PARTS, SIDE, SIDE).argmax(0) == np.arange(PARTS)[:, None, None]
    own = masks() & nearest
    return np.concatenate([own, ~own.any(0)[None]])
