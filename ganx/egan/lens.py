"""E-GAN in the report: fitness, mutations, lineage, coverage, and what lies between two samples."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Sequence

import jax.numpy as jnp
import numpy as np
from etils import epath

from ganx import codes
from ganx.egan.compare import balance, modes
from ganx.egan.history import History, ancestors, history, is_run, trail, warning
from ganx.egan.points import SAMPLES, picture
from ganx.gan import Gan
from ganx.lens import Chart, Figure, ImageGrid, Inquiry, Section, Table, register
from ganx.pictures import to_uint8
from ganx.store import load

_STRIPS, _FRAMES, _POINTS = 4, 11, 40
_LEAD = (
    "These generators were bred: every generation each parent had a child for each of several objectives, and those "
    "survived whose samples the discriminator found most convincing and most diverse."
)
_about: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("runs", default=())


@contextlib.contextmanager
def looking_at(run: epath.PathLike, against: Sequence[epath.PathLike] = ()) -> Iterator[None]:
    """Within the context the lens tells the history of `run`, and compares it with other runs of any method."""
    token = _about.set(tuple(map(str, (run, *against))))
    try:
        yield
    finally:
        _about.reset(token)


@register("egan", order=70, title="How it was bred (E-GAN)", pictures=False)
def egan(gan: Gan, inquiry: Inquiry) -> Section | None:
    """The history of a population; None where it is not known which run the generator came from."""
    runs = _about.get() or ((inquiry.path,) if is_run(inquiry.path) else ())
    if not runs:
        return None
    record = history(runs[0])
    figures, numbers = _fitness(record), _numbers(record)
    figures += [_shares(record), *_lineage(runs[0], record, numbers)]
    figures += _coverage(gan, inquiry, runs, numbers)
    figures += _between(gan, inquiry, numbers)
    lead = _LEAD + (f" Beware: {numbers['warning']}." if numbers["warning"] else "")
    return Section(lead, tuple(figures), numbers)


def _numbers(record: History) -> dict:
    wins = {name: float(record.values[f"wins/{name}"][-1]) for name in record.mutations}
    total = max(sum(wins.values()), 1.0)
    return {
        "generations": int(record.steps[-1]),
        "wins": {name: value / total for name, value in wins.items()},
        "fitness": float(record.values["fitness"][-1]),
        "warning": warning(record),
    }


def _labels(record: History) -> tuple[np.ndarray, tuple[str, ...]]:
    at = np.unique(np.linspace(0, len(record.steps) - 1, min(_POINTS, len(record.steps))).round().astype(int))
    return at, tuple(f"{step:,}" for step in record.steps[at])


def _fitness(record: History) -> list[Figure]:
    at, labels = _labels(record)
    quality = {name: record.values[f"quality/{name}"][at] for name in record.mutations}
    norms = {name: np.exp(-record.values[f"diversity/{name}"][at]) for name in record.mutations}
    first = "Quality of each mutation's children: the mean probability that D gives their samples of being real."
    second = (
        "Norm of D's gradient on each mutation's children; diversity is minus its logarithm and counts "
        f"{record.gamma:g} times, so that lower is better."
    )
    return [Chart("line", labels, quality, first), Chart("line", labels, norms, second)]


def _shares(record: History) -> Figure:
    ends, shares = record.shares(_POINTS)
    series = {name: 100 * shares[:, i] for i, name in enumerate(record.mutations)}
    labels = tuple(f"{end:,}" for end in ends)
    return Chart("area", labels, series, "Which mutation's children survived.", unit="% of the survivors")


def _lineage(run: str, record: History, numbers: dict) -> list[Figure]:
    rows = trail(run)
    counts = ancestors(rows, len(record.mutations))
    numbers["founders"] = float(record.values["founders"][-1])
    numbers["generations_to_common_ancestor"] = int((counts > 1).sum())
    if rows.shape[1] == 1:
        return []
    back = np.unique(np.linspace(0, len(counts) - 1, _POINTS).round().astype(int))
    labels = tuple(f"{i - len(counts) + 1}" for i in back)
    caption = "Members that still have descendants, by generations before now: where the line is at 1, all are kin."
    return [Chart("line", labels, {"ancestors of today's members": counts[back]}, caption)]


def _coverage(gan: Gan, inquiry: Inquiry, runs: Sequence[str], numbers: dict) -> list[Figure]:
    gans = {epath.Path(run).name: gan if i == 0 else load(run) for i, run in enumerate(runs)}
    held = {name: found for name, each in gans.items() if (found := modes(each, inquiry.key, SAMPLES))}
    if held:
        numbers["coverage"] = {name: c._asdict() | {"counts": c.counts.tolist()} for name, c in held.items()}
        labels = tuple(str(i) for i in range(len(next(iter(held.values())).counts)))
        series = {name: 100 * c.counts / SAMPLES for name, c in held.items()}
        rows = tuple((n, c.modes, 100 * c.quality, c.divergence, c.mmd) for n, c in held.items())
        columns = ("run", "modes held", "% within 3 deviations", "divergence, nats", "squared MMD")
        return [
            Chart("bars", labels, series, "Share of the samples within three deviations of each mode.", unit="%"),
            Table(columns, rows, "Modes: a tenth of the fair share of samples counts as held."),
        ]
    seen = {name: far for name, each in gans.items() if (far := balance(each, inquiry.key, inquiry.samples))}
    if not seen:
        return []
    numbers["balance"] = seen
    labels = tuple(next(iter(seen.values())))
    series = {name: np.array([100 * far[label] for label in labels]) for name, far in seen.items()}
    caption = "How far the attributes of generated images are from the world's: the share that would have to change."
    return [Chart("bars", tuple(label.replace("_", " ") for label in labels), series, caption, unit="%")]


def _between(gan: Gan, inquiry: Inquiry, numbers: dict) -> list[Figure]:
    """Straight lines between latents, in eleven frames (§4.5); for points the cloud."""
    if gan.spec.resolution == 1:
        points = gan(gan.latents(inquiry.key, SAMPLES)).reshape(SAMPLES, -1)
        return [ImageGrid(np.asarray(to_uint8(picture(points)))[None], f"{SAMPLES:,} samples.", cell=288)]
    ends = gan.latents(inquiry.key, 2 * _STRIPS).reshape(2, _STRIPS, 1, *gan.spec.latent)
    label = gan.labels(inquiry.key, _STRIPS)
    a = jnp.linspace(0, 1, _FRAMES).reshape(1, -1, *[1] * len(gan.spec.latent))
    z = ((1 - a) * ends[0] + a * ends[1]).reshape(-1, *gan.spec.latent)
    each = None if label is None else label.repeat(_FRAMES)
    frames = codes.paint(gan, codes.encode_jit(gan, z, label=each), limit=128, label=each)
    frames = frames.reshape(_STRIPS, _FRAMES, *frames.shape[1:])
    numbers["largest_step"] = smoothness(frames)
    caption = f"Straight lines between two codes. The largest step is {numbers['largest_step']:.1f} times the mean one."
    return [ImageGrid(frames, caption, cell=88)]


def smoothness(frames: np.ndarray) -> float:
    """Largest step between neighbouring frames `[strips, frames, ...]` over the mean one, in L2, worst strip."""
    flat = frames.reshape(*frames.shape[:2], -1).astype(np.float64)
    steps = np.linalg.norm(np.diff(flat, axis=1), axis=-1)
    return float((steps.max(1) / np.maximum(steps.mean(1), 1e-12)).max())
