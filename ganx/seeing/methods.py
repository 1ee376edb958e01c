"""Six ways to invert a generator on one interface (Bau et al. 2019, fig. 6, a to f), and z-space L-BFGS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ganx.errors import GanxError, unknown
from ganx.seeing.chain import Chain, relaxed
from ganx.seeing.descent import Descended, Schedule, descend, lbfgs
from ganx.seeing.inverter import Inverter
from ganx.seeing.losses import Features, clamped
from ganx.seeing.relax import CodeSearch, Data, Relaxation, prepare
from ganx.training.mesh import batched, make_mesh, replicated

METHODS = {
    "a": "optimise z from random starts",
    "b": "learn E directly",
    "c": "learn E directly, then optimise z",
    "d": "layered E alone",
    "e": "layered E, then optimise z",
    "f": "layered E, then optimise the layers' outputs",
}
"""The columns of figure 6; a is the weakest, f the full method."""
OPTIMISERS = ("adam", "lbfgs")


@dataclasses.dataclass(frozen=True)
class InvertOptions:
    """How an image is inverted.

    Attributes:
      method: one of `METHODS`.
      steps: updates of the optimisation.
      lr: of the layers' outputs (f); halved at 800, 1200 and 1800 of 3000 steps, in proportion for other numbers.
      lr_code: of z (a, c and e), not halved.
      strength: weight of the layers' mean squared perturbation (λ_reg).
      relaxed: cuts that are perturbed; by default all but the last, or the only one.
      starts: random starts of a; the best is kept.
      code_optimiser: one of `OPTIMISERS`, for c and e.
      clamp: "straight", "hard" or "none", see `losses.clamped`; results are always clipped.
      keep: "best" or "last", see `Schedule`.
      batch: images optimised together on each device.
    """

    method: str = "f"
    steps: int = 3000
    lr: float = 0.01
    lr_code: float = 0.1
    strength: float = 1.0
    relaxed: tuple[str, ...] = ()
    starts: int = 3
    code_optimiser: str = "adam"
    clamp: str = "straight"
    keep: str = "best"
    batch: int = 16


@dataclasses.dataclass(frozen=True)
class Inversion:
    """Reconstructions; numpy arrays with a leading image axis.

    Attributes:
      z: codes.
      deltas: perturbations by cut; empty unless the method is f.
      features: r_n, what the last cut holds.
      images: float32 `[n, H, W, C]`, within [-1, 1].
      first, last: loss at the start and at the end, `[n]`; that of d and b is of the same kind.
    """

    z: np.ndarray
    deltas: dict[str, np.ndarray]
    features: np.ndarray
    images: np.ndarray
    first: np.ndarray
    last: np.ndarray


jax.tree_util.register_dataclass(
    Inversion, data_fields=["z", "deltas", "features", "images", "first", "last"], meta_fields=[]
)

Report = Callable[[int], None]


def invert(
    chain: Chain,
    images: Any,
    options: InvertOptions = InvertOptions(),
    layered: Inverter | None = None,
    direct: Inverter | None = None,
    features: Features | None = None,
    label: Any = None,
    key: jax.Array | None = None,
    mesh: Mesh | None = None,
    report: Report | None = None,
) -> Inversion:
    """Reconstructs images with a generator.

    Images are independent of each other: each one's result is what it would be alone, on any number of devices.

    Args:
      chain: the generator and its cuts.
      images: `[n, H, W, C]` in [-1, 1].
      options: which method, and its settings.
      layered: what `fit` returns; d, e and f need it.
      direct: what `fit` returns for `steps=0`; b and c need it.
      features: a feature net for the loss, such as `trunk_features(layered)` or `vgg_features(path)`; None for pixels.
      label: the images' classes int32 `[n]`, for a generator with classes.
      key: for a's random starts.
      mesh: devices to share the images; all by default.
      report: called with the number of image updates done.

    Raises:
      GanxError: an unknown method or optimiser, a missing inverter, absurd numbers, images of another shape.
    """
    images = np.asarray(images, np.float32)
    _check(chain, images, options, layered, direct)
    mesh = make_mesh() if mesh is None else mesh
    size = mesh.size * min(options.batch, -(-len(images) // mesh.size))
    chain, features, layered, direct = jax.device_put((chain, features, layered, direct), replicated(mesh))
    solver = _Solver(chain, features, layered, direct, options, jax.random.key(0) if key is None else key)
    parts = []
    for at in range(0, len(images), size):
        rows = np.minimum(np.arange(at, at + size), len(images) - 1)
        batch = jax.device_put(images[rows], batched(mesh))
        classes = None if label is None else jax.device_put(np.asarray(label, np.int32)[rows], batched(mesh))
        told = (lambda done, at=at: report(at * options.steps + done * size)) if report else None
        part = solver(batch, classes, rows, told)
        parts.append(jax.tree.map(lambda leaf, n=min(size, len(images) - at): np.asarray(leaf)[:n], part))
    return Inversion(*jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts))


@dataclasses.dataclass(frozen=True)
class _Solver:
    chain: Chain
    features: Features | None
    layered: Inverter | None
    direct: Inverter | None
    options: InvertOptions
    key: jax.Array

    def __call__(self, images: jax.Array, label: Any, rows: np.ndarray, report: Report | None) -> tuple[Any, ...]:
        """z, deltas, features, images, first and last loss of one batch."""
        method = self.options.method
        encoder = self.direct if method in "bc" else self.layered
        z = self._random(rows, 0, images) if encoder is None or method == "a" else _encode(encoder, images)
        data = prepare(images, self.features, z, label)
        if method == "f":
            found = self._relax(data, report)
            return self._drawn(z, found.variable, label, found)
        if method in "bd":
            loss = _loss(self._search(None), z, data)
            return self._drawn(z, {}, label, Descended(z, loss, loss, loss[None]))
        found = self._from_scratch(data, rows, images, report) if method == "a" else self._code(data, encoder, report)
        return self._drawn(found.variable, {}, label, found)

    def _relax(self, data: Data, report: Report | None) -> Descended:
        options = self.options
        chosen = options.relaxed or self.chain.cuts[: max(len(self.chain.cuts) - 1, 1)]
        shapes = dict(zip(self.chain.cuts, self.chain.shapes[1:], strict=True))
        deltas = _zeros(data["z"], tuple((name, tuple(shapes[name])) for name in chosen))
        objective = Relaxation(self.chain, self.features, options.strength, options.clamp)
        edges = tuple(round(options.steps * share) for share in (800 / 3000, 1200 / 3000, 1800 / 3000))
        return descend(objective, deltas, data, Schedule(options.steps, options.lr, edges, options.keep), report)

    def _from_scratch(self, data: Data, rows: np.ndarray, images: jax.Array, report: Report | None) -> Descended:
        best: Descended | None = None
        for i in range(self.options.starts):
            z = self._random(rows, i, images)
            told = _part_of(report, i, self.options)
            found = self._adam(z, data, None, told)
            best = found if best is None else _best_of(found, best)
        assert best is not None
        return best

    def _code(self, data: Data, encoder: Inverter | None, report: Report | None) -> Descended:
        """From E's z. With E at hand the search also keeps to what E makes of its result (`optimize_z_lbfgs.py`)."""
        if self.options.code_optimiser == "lbfgs":
            found = lbfgs(self._search(encoder), data["z"], data, self.options.steps)
        else:
            found = self._adam(data["z"], data, encoder, report)
        # the search's loss holds E's term; what is reported is the image's, as for the other methods
        search = self._search(None)
        return Descended(found.variable, _loss(search, data["z"], data), _loss(search, found.variable, data), found.log)

    def _adam(self, z: jax.Array, data: Data, encoder: Inverter | None, report: Report | None) -> Descended:
        schedule = Schedule(self.options.steps, self.options.lr_code, (), self.options.keep)
        return descend(self._search(encoder), z, data, schedule, report)

    def _search(self, encoder: Inverter | None) -> CodeSearch:
        return CodeSearch(self.chain, self.features, encoder, clamp=self.options.clamp)

    def _random(self, rows: np.ndarray, start: int, images: jax.Array) -> jax.Array:
        """Latents that follow from the key, the image's place and the start alone."""
        key = jax.random.fold_in(jax.random.clone(self.key), start)
        z = _latents(self.chain.gan, key, jnp.asarray(rows, jnp.int32))
        return jax.device_put(z, images.sharding)

    def _drawn(self, z: jax.Array, deltas: dict[str, jax.Array], label: Any, found: Descended) -> tuple[Any, ...]:
        features, images = _draw(self.chain, z, deltas, label)
        return z, deltas, features, images, found.first, found.last


def _part_of(report: Report | None, start: int, options: InvertOptions) -> Report | None:
    """Progress within one of several starts as progress of all."""
    return (lambda done: report((start * options.steps + done) // options.starts)) if report else None


def _check(
    chain: Chain, images: np.ndarray, options: InvertOptions, layered: Inverter | None, direct: Inverter | None
) -> None:
    check_options(options)
    if images.ndim != 4 or images.shape[1:] != chain.gan.spec.shapes[-1] or not len(images):
        want = ", ".join(map(str, chain.gan.spec.shapes[-1]))
        raise GanxError(f"images of shape [n, {want}] are needed, not {list(images.shape)}; add ?size= to the source")
    if options.method in "def" and layered is None:
        raise GanxError(f"method {options.method} needs the layer-wise inverses; train them with seeing.fit")
    if options.method in "bc" and direct is None:
        raise GanxError(f"method {options.method} needs a directly learned encoder: seeing.fit with steps=0")
    for name in options.relaxed:
        if name not in chain.cuts:
            raise unknown("cut", name, chain.cuts)


def check_options(options: InvertOptions) -> None:
    """Refuses what no inversion can be made with."""
    if options.method not in METHODS:
        raise unknown("method", options.method, METHODS)
    if options.code_optimiser not in OPTIMISERS:
        raise unknown("optimiser of codes", options.code_optimiser, OPTIMISERS)
    if not (0 < options.lr < np.inf and 0 < options.lr_code < np.inf and 0 <= options.strength < np.inf):
        raise GanxError("learning rates are numbers above 0, and the strength of perturbations is one from 0 up")
    if options.steps < 0 or options.batch < 1 or options.starts < 1:
        raise GanxError("updates are a whole number from 0 up, pictures at a time and random starts from 1 up")


def draw(chain: Chain, z: np.ndarray, label: Any = None) -> Inversion:
    """What codes `[n, *latent]` draw, as an inversion without any loss: the truth to compare a sample's with."""
    features, images = _draw(chain, z, {}, label)
    none = np.zeros(len(z), np.float32)
    return Inversion(z, {}, np.asarray(features), np.asarray(images), none, none)


@jax.jit
def _encode(encoder: Inverter, images: jax.Array) -> jax.Array:
    return encoder.encode(images)


@jax.jit
def _loss(search: CodeSearch, z: jax.Array, data: Data) -> jax.Array:
    return search(z, data)


@jax.jit
def _draw(chain: Chain, z: jax.Array, deltas: dict[str, jax.Array], label: Any) -> tuple[jax.Array, jax.Array]:
    act = relaxed(chain, z, deltas, label)
    return act.features, clamped(chain.paint(act), "hard").astype(jnp.float32)


@jax.jit
def _latents(gan: Any, key: jax.Array, rows: jax.Array) -> jax.Array:
    return jax.vmap(lambda row: gan.latents(jax.random.fold_in(key, row), 1)[0])(rows)


def _zeros(like: jax.Array, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> dict[str, jax.Array]:
    zeros = {name: jnp.zeros((len(like), *shape), like.dtype) for name, shape in shapes}
    return jax.device_put(zeros, like.sharding) if hasattr(like, "sharding") else zeros


def _best_of(a: Descended, b: Descended) -> Descended:
    better = a.last < b.last
    pick = lambda x, y: jnp.where(better.reshape(-1, *(1,) * (x.ndim - 1)), x, y)  # noqa: E731
    return Descended(pick(a.variable, b.variable), pick(a.first, b.first), pick(a.last, b.last), a.log)
