"""SeFa in the report: what changes along the strongest directions."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ganx import codes
from ganx.gan import Gan
from ganx.lens import Chart, Figure, Inquiry, Section, Strips, Table, register
from ganx.sefa import space as spaces
from ganx.sefa.batches import Samples
from ganx.sefa.directions import Directions
from ganx.sefa.edit import move
from ganx.sefa.factorize import factorize_many
from ganx.sefa.predictors import Predictor, find_predictor, readable
from ganx.sefa.rescore import Rescore, rescore
from ganx.sefa.weights import groups

_SAMPLES, _STEPS, _PSI = 4, 9, 0.7
_CLOUD = 256  # codes of which the spread is measured, and pictures that are scored before and after
_SIDE = 128  # larger pictures are averaged down to this many pixels
_CHANGE = 0.35  # mean absolute change of pixels (of the range [-1, 1]) to aim at, at both ends of a strip
_SPREADS = np.array([0.5, 1.0, 2.0, 3.0, 4.0, 6.0])  # where to look for it, in deviations of the code
_LEAD = (
    "The latent code enters the generator through a matrix. Its strongest singular directions are found from the "
    "weights alone, without a single image or label, and they are often things people have names for. "
    "The middle picture is the untouched sample; left and right the same code is pushed along one direction."
)


Paint = Callable[[jax.Array], np.ndarray]


@register("sefa", order=40, title="Directions hidden in the weights (SeFa)")
def sefa(gan: Gan, inquiry: Inquiry) -> Section:
    """Strips along the top directions, for all layers or, in a style-based family, for three groups of them."""
    key_samples, key_spread = jax.random.split(inquiry.key)
    label = gan.labels(key_samples, _SAMPLES)
    start = _start(gan, gan.latents(key_samples, _SAMPLES), _PSI, label)
    cloud = _cloud(gan, key_spread)
    reader = find_predictor(gan, inquiry.source) if readable(gan, inquiry.source) else None
    paint = functools.partial(_paint, gan, label)
    figures: list[Figure] = []
    numbers: dict[str, dict] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, found in factorize_many(gan, groups(gan)).items():
        top = found.vectors[: 6 if codes.style_based(gan) else 8]
        reach = _reach(gan, paint, start[:2], top, found.layers, _spread(cloud.codes, top))
        effects = _effects(gan, reader, found.top(len(top)), cloud, reach)
        pictures, control = _strips(gan, paint, start, top, reach, found.layers)
        change, random_change = _change(pictures), float(_change(control).mean())
        figures.append(_figure(name, pictures, reach, found, float(change.mean()), random_change, effects))
        figures += [] if effects is None else [_table(name, effects)]
        numbers[name] = {
            "layers": list(found.layers),
            "eigenvalues": found.values[: len(top)].tolist(),
            "reach": reach,
            "pixel_change": change.tolist(),
            "pixel_change_of_random_directions": random_change,
        } | _numbers(effects)
        arrays |= {f"{name}/vectors": found.vectors, f"{name}/values": found.values}
    return Section(_LEAD, (*figures, _spectrum(arrays)), numbers, arrays)


@functools.partial(jax.jit, static_argnums=2)
def _start(gan: Gan, z: jax.Array, psi: float, label: jax.Array | None) -> jax.Array:
    return spaces.start(gan, z, psi, label=label)


def _cloud(gan: Gan, key: jax.Array) -> Samples:
    z, label = gan.latents(key, _CLOUD), gan.labels(key, _CLOUD)
    code = _start(gan, z, 1.0, label)
    return Samples(np.asarray(z), np.asarray(code), None if label is None else np.asarray(label))


def _effects(gan: Gan, reader: Predictor | None, found: Directions, cloud: Samples, reach: float) -> Rescore | None:
    """What the directions change, for steps as long as the strips; None where nothing can read the pictures."""
    if reader is None or reach == 0:
        return None
    return rescore(gan, reader, found, jax.random.key(0), alpha=reach, samples=cloud)


def _numbers(effects: Rescore | None) -> dict:
    if effects is None:
        return {}
    return {
        "names": [name if sign > 0 or not name else f"-{name}" for name, sign in effects.names()],
        "best": [vars(match) for match in effects.best()],
        "diagonal_share": effects.diagonal(),
    }


def _table(name: str, effects: Rescore) -> Table:
    columns = ("Attribute", "Moved most by", "Change of its score", "Standard error", "Share of its effects")
    rows = tuple(
        (match.column, f"Direction {match.direction + 1}", match.change, match.error, match.share)
        for match in effects.best()
    )
    what = "all layers" if name == "all" else f"the {name} layers"
    caption = (
        f"What a reader of the pictures says of the directions of {what}: for each attribute the direction that moves "
        f"it most, over {effects.n} samples. A share of 1 would mean that the direction changes nothing else."
    )
    return Table(columns, rows, caption)


def _paint(gan: Gan, label: jax.Array | None, moved: jax.Array) -> np.ndarray:
    """Pictures of codes `[directions, samples, steps, *code]`, each sample of its own class."""
    return spaces.draw(gan, moved, _SIDE, None if label is None else label[: moved.shape[1], None])


def _spread(cloud: np.ndarray, vectors: np.ndarray) -> float:
    """Standard deviation of codes `[n, …, d]` along the directions, on average."""
    if cloud.ndim == 3:
        cloud = cloud[:, 0]
    return float((cloud @ vectors.T).std(0).mean())


def _reach(
    gan: Gan, paint: Paint, start: jax.Array, vectors: np.ndarray, layers: tuple[int, ...], spread: float
) -> float:
    """How far to go so that pictures change visibly but stay pictures; a distance in the code."""
    amounts = np.concatenate([[0.0], spread * _SPREADS])
    pictures = paint(_moved(gan, start, vectors, amounts, layers)).astype(float)
    change = np.abs(pictures - pictures[:, :, :1]).mean((0, 1, 3, 4, 5)) / 127.5
    return float(np.interp(_CHANGE, np.maximum.accumulate(change), amounts))


def _moved(gan: Gan, start: jax.Array, vectors: np.ndarray, amounts: np.ndarray, layers: tuple[int, ...]) -> jax.Array:
    """`[directions, samples, steps, *code]`."""
    return jax.vmap(lambda vector: move(gan, start, vector, amounts, layers))(jnp.asarray(vectors))


def _strips(
    gan: Gan, paint: Paint, start: jax.Array, vectors: np.ndarray, reach: float, layers: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures along the directions, and for comparison along as many random ones."""
    amounts = np.linspace(-reach, reach, _STEPS)
    random = np.linalg.qr(np.random.default_rng(0).normal(size=vectors.shape[::-1]))[0].T.astype(np.float32)
    pictures = paint(_moved(gan, start, vectors, amounts, layers))
    return pictures, paint(_moved(gan, start, random, amounts[[0, _STEPS // 2, -1]], layers))


def _change(pictures: np.ndarray) -> np.ndarray:
    """Mean absolute change from the middle to both ends, of the range [-1, 1]: `[directions]`."""
    middle = pictures.shape[2] // 2
    moved = pictures[:, :, [0, -1]].astype(float) - pictures[:, :, middle : middle + 1]
    return np.abs(moved).mean((1, 2, 3, 4, 5)) / 127.5


def _figure(
    name: str,
    pictures: np.ndarray,
    reach: float,
    found: Directions,
    change: float,
    random_change: float,
    effects: Rescore | None,
) -> Strips:
    titles = _titles(len(pictures), effects)
    steps = tuple(_signed(amount) for amount in np.linspace(-reach, reach, _STEPS))
    where = f"{found.stages[0]} to {found.stages[-1]}" if len(found.stages) > 1 else found.stages[0]
    what = "The whole latent code" if name == "all" else f"{name.capitalize()} layers"
    caption = (
        f"{what}, entering at {where}. At the ends of a strip pixels have changed by {change / 2:.0%} of their range, "
        f"after equal steps along random directions by {random_change / 2:.0%}."
    )
    return Strips(pictures, titles, steps, caption)


def _titles(count: int, effects: Rescore | None) -> tuple[str, ...]:
    """Numbers, and beside them what a direction changes most, with the way it goes."""
    names = [("", 1)] * count if effects is None else list(effects.names())
    signs = {1: "", -1: "−"}
    return tuple(
        f"Direction {i + 1}" + (f": {signs[sign]}{name}" if name else "") for i, (name, sign) in enumerate(names)
    )


def _signed(amount: float) -> str:
    return f"{amount:+.2g}".replace("-", "−") if amount else "0"


def _spectrum(arrays: dict[str, np.ndarray]) -> Chart:
    spectra = {name.split("/")[0]: values for name, values in arrays.items() if name.endswith("/values")}
    length = min(40, *(len(values) for values in spectra.values()))
    series = {name: values[:length] / values.sum() * 100 for name, values in spectra.items()}
    caption = (
        "How much of the generator's reaction each direction carries. A flat line would mean no direction stands out."
    )
    return Chart("line", tuple(str(i + 1) for i in range(length)), series, caption, unit="% of the reaction")
