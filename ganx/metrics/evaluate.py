"""`evaluate`: a GAN (or a second set of images) against real images, and all that is needed to do it again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ganx.data import Source
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.metrics import cache
from ganx.metrics.collect import Batches, Collected, check_source, collect, content_hash, gan_batches, source_batches
from ganx.metrics.features import FeatureNet, load_features, load_lpips
from ganx.metrics.frechet import frechet
from ganx.metrics.inception_score import inception_score
from ganx.metrics.kernel import kid, kid_full
from ganx.metrics.manifold import manifold
from ganx.metrics.path_length import path_length
from ganx.metrics.presets import Preset, preset

WHICH = ("fid", "kid", "is", "pr", "dc", "ppl")
_WITH_FEATURES = {"kid", "pr", "dc"}
SUBSETS, SUBSET_SIZE, SPLITS, PR_NEIGHBOUR, DC_NEIGHBOUR = 100, 1000, 10, 3, 5
Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class Score:
    """One number: its name, its value, its spread (None where there is none), and whether less or more is better."""

    name: str
    value: float
    spread: float | None
    better: str
    how: str


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores, and the facts that reproduce them: preset, network, counts, seed, versions, hashes."""

    scores: tuple[Score, ...]
    facts: dict[str, Any]

    def __getitem__(self, name: str) -> float:
        """The value of the score of that name."""
        for score in self.scores:
            if score.name == name:
                return score.value
        raise unknown("score", name, [score.name for score in self.scores])

    def table(self) -> str:
        """The scores as aligned text."""
        rows = [("metric", "value", "spread", "better", "how")]
        spread = lambda s: "" if s.spread is None else f"± {s.spread:.3g}"  # noqa: E731
        rows += [(s.name, f"{s.value:.5g}", spread(s), s.better, s.how) for s in self.scores]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines)

    def to_json(self) -> str:
        """Scores and facts as JSON."""
        return json.dumps({"scores": [dataclasses.asdict(s) for s in self.scores], "facts": self.facts}, indent=1)


def evaluate(
    real: Source,
    fake: Gan | Source,
    which: Sequence[str] = ("fid", "kid", "pr", "dc"),
    *,
    net: FeatureNet | str = "faces",
    how: Preset | str = "tf",
    count: int = 50_000,
    real_count: int | None = None,
    batch: int = 64,
    seed: int = 0,
    mesh: Mesh | None = None,
    keep: bool = True,
    progress: Progress | None = None,
) -> Evaluation:
    """Scores a GAN against real images.

    Args:
      real: real images.
      fake: a GAN, whose samples are drawn from `seed`, or a second source of images.
      which: of "fid", "kid", "is", "pr" (precision, recall), "dc" (density, coverage) and "ppl".
      net: "inception", "vgg16", "facenet", "faces", or a `FeatureNet`.
      how: a preset, see `ganx.metrics.presets`.
      count: generated images.
      real_count: real images; all of them by default.
      batch: images that go through the network together; no result depends on it.
      mesh: devices to share the work; None for one.
      keep: whether the real images' statistics are kept for the next time, by content.
      progress: called with what is being done, how much of it is done, and how much there is.

    Raises:
      GanxError: an unknown metric, images of different sizes, too few of them, or missing weights.
    """
    for name in which:
        if name not in WHICH:
            raise unknown("metric", name, WHICH)
    how = preset(how) if isinstance(how, str) else how
    real_count = len(real) if real_count is None else real_count
    check_source(real, real_count)
    if not isinstance(fake, Gan):
        check_source(fake, count)
    _check_sizes(real, fake)
    distance = _lpips(fake) if "ppl" in which else None
    net = load_features(net) if isinstance(net, str) else net
    if "is" in which and not net.logits:
        raise GanxError(f"the network {net.name!r} has no logits for an Inception score; use --net inception")
    batch = batch if mesh is None else -(-batch // mesh.size) * mesh.size
    work = _Work(net, how, batch, mesh, progress, bool(_WITH_FEATURES & set(which)))
    told = _facts(real, real_count, fake, count, seed, work)
    scores: list[Score] = []
    if set(which) - {"ppl"}:
        drawn = work.fakes(fake, count, seed, "is" in which)
        reference = drawn
        if set(which) - {"ppl", "is"}:
            told["real"]["content"], reference = work.reference(real, real_count, keep)
        scores += _compared(which, reference, drawn, work, seed)
    if distance is not None and isinstance(fake, Gan):
        scores.append(_ppl(fake, distance, count, batch, seed, mesh))
    return Evaluation(tuple(scores), told)


@dataclasses.dataclass(frozen=True)
class _Work:
    """What both sides are put through."""

    net: FeatureNet
    preset: Preset
    batch: int
    mesh: Mesh | None
    progress: Progress | None
    features: bool

    def reference(self, real: Source, count: int, keep: bool) -> tuple[str, Collected]:
        """Hash and statistics of the real images, from an earlier time if they are the same images."""
        content = _content(real, count)
        if not keep or not self.net.sha256:
            return content, self._run("real images", source_batches(real, count, self.batch, self.mesh), count)
        path = cache.folder() / cache.name(content, self.net, self.preset)
        found = cache.load(path, self.features)
        if found is None:
            found = self._run("real images", source_batches(real, count, self.batch, self.mesh), count)
            cache.save(path, found)
        return content, found

    def fakes(self, fake: Gan | Source, count: int, seed: int, logits: bool) -> Collected:
        if isinstance(fake, Gan):
            batches = gan_batches(fake, count, self.batch, seed, self.mesh)
        else:
            batches = source_batches(fake, count, self.batch, self.mesh)
        return self._run("generated images", batches, count, logits)

    def _run(self, what: str, batches: Batches, count: int, logits: bool = False) -> Collected:
        watched = self._watched(what, batches, count)
        return collect(watched, self.net, self.preset, features=self.features, logits=logits)

    def _watched(self, what: str, batches: Batches, count: int) -> Batches:
        done = 0
        for images, mask in batches:
            yield images, mask
            done += int(mask.sum())
            if self.progress:
                self.progress(what, done, count)


def _compared(which: Sequence[str], real: Collected, fake: Collected, work: _Work, seed: int) -> list[Score]:
    scores, net = [], work.net
    a, b = (np.zeros((0, 0)) if c.features is None else c.features for c in (real, fake))
    kernel = "KID" if net.frechet == "FID" else net.frechet.replace("FD", "KD")
    for name in which:
        if name == "fid":
            scores.append(
                Score(net.frechet, frechet(real.moments, fake.moments).value, None, "less", "Fréchet distance")
            )
        elif name == "kid":
            scores.append(Score(kernel, kid_full(a, b, mesh=work.mesh), None, "less", "all pairs"))
            mean, spread = kid(a, b, subsets=SUBSETS, size=SUBSET_SIZE, key=jax.random.key(seed))
            size = min(SUBSET_SIZE, len(a), len(b))
            scores.append(Score(f"{kernel} (subsets)", mean, spread, "less", f"{SUBSETS} subsets of {size}"))
        elif name == "is" and fake.logits is not None:
            scores.append(Score("IS", *inception_score(fake.logits, SPLITS), "more", f"{SPLITS} splits"))
        elif name == "pr":
            found = manifold(a, b, k=PR_NEIGHBOUR, mesh=work.mesh)
            scores.append(Score("precision", found.precision, None, "more", f"k = {PR_NEIGHBOUR}, {net.name}"))
            scores.append(Score("recall", found.recall, None, "more", f"k = {PR_NEIGHBOUR}, {net.name}"))
        elif name == "dc":
            found = manifold(a, b, k=DC_NEIGHBOUR, mesh=work.mesh)
            scores.append(Score("density", found.density, None, "more", f"k = {DC_NEIGHBOUR}, {net.name}"))
            scores.append(Score("coverage", found.coverage, None, "more", f"k = {DC_NEIGHBOUR}, {net.name}"))
    return scores


def _lpips(fake: Gan | Source) -> Any:
    if not isinstance(fake, Gan):
        raise GanxError("path length needs a GAN, not a set of images; leave ppl out")
    return load_lpips()


def _ppl(gan: Gan, lpips: Any, count: int, batch: int, seed: int, mesh: Mesh | None) -> Score:
    module, variables = lpips
    space = "w" if gan.stages[0] == "map" else "z"

    def distance(a: jax.Array, b: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            return module.apply(variables, a, b)

    found = path_length(gan, distance, count=count, space=space, batch=batch, seed=seed, mesh=mesh)
    return Score(found.name, found.mean, None, "less", f"{count} pairs")


def _check_sizes(real: Source, fake: Gan | Source) -> None:
    ours = fake.spec.shapes[-1] if isinstance(fake, Gan) else fake.spec.shape
    if real.spec.shape[:2] != ours[:2]:
        want, have = " x ".join(map(str, ours[:2])), " x ".join(map(str, real.spec.shape[:2]))
        raise GanxError(f"real images are {have} and the others {want}; bring them to one size with ?size={ours[1]}")


def _content(real: Source, count: int) -> str:
    """A world is a pure function of its name, so a few of its images tell whether it is still drawn the same."""
    if not real.spec.rendered:
        return content_hash(real, count)
    start = content_hash(real, min(count, 256))
    return hashlib.sha256(f"{real.spec.name}\n{count}\n{start}".encode()).hexdigest()


def _facts(real: Source, real_count: int, fake: Gan | Source, count: int, seed: int, work: _Work) -> dict[str, Any]:
    import ganx

    drawn: dict[str, Any] = {"count": count}
    if isinstance(fake, Gan):
        drawn |= {
            "family": fake.spec.family,
            "sha256": weights_hash(fake),
            "seed": seed,
            "quantised": "ada",
            "psi": 1.0,
        }
    else:
        drawn |= {"source": fake.spec.name, "content": _content(fake, count)}
    return {
        "preset": dataclasses.asdict(work.preset),
        "network": {"name": work.net.name, "layer": work.net.layer, "sha256": work.net.sha256},
        "real": {"source": real.spec.name, "count": real_count},
        "fake": drawn,
        "final": "float64 on the host",
        "versions": {
            "ganx": getattr(ganx, "__version__", "0.1.0"),
            "jax": jax.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "devices": [1 if work.mesh is None else work.mesh.size, jax.devices()[0].device_kind],
    }


def weights_hash(gan: Gan) -> str:
    """sha256 over a GAN's variables, names included."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(gan.variables):
        digest.update(jax.tree_util.keystr(path).encode())
        digest.update(np.ascontiguousarray(np.asarray(leaf)).tobytes())
    return digest.hexdigest()
