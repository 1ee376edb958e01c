"""What each stage of the generator looks like inside."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from ganx.gan import Gan
from ganx.lens import ImageGrid, Inquiry, Section, Table, register
from ganx.pictures import enlarge, heat, signed, to_uint8

_SHOWN, _FILTERS = 6, 6
_DRAWN = 32
_LIMIT = 64  # maps are averaged down to this many pixels a side
_BUDGET = 2**26  # numbers that one stage's features may take

_LEAD = (
    "A generator draws in stages, from a few coarse cells to the finished image. Each column is one sample, each row "
    "one filter; where a cell is bright, the filter acts on that part of the picture. Shown are the filters that "
    "differ most from sample to sample, and from each other."
)


@register("stages", order=30, title="Inside, stage by stage")
def stages(gan: Gan, inquiry: Inquiry) -> Section:
    """Feature maps of the most telling filters, the image so far, and statistics of every stage."""
    largest = max(math.prod(shape) for shape in gan.spec.shapes)
    count = int(np.clip(_BUDGET // largest, _SHOWN, _DRAWN))
    features = _features(gan, gan.latents(inquiry.key, count), gan.labels(inquiry.key, count))
    seen = {name: np.asarray(features[name]) for name in gan.stages}  # jit returns a dict in another order
    images = {name: to_uint8(seen[name][:_SHOWN]) for name in gan.stages if name.startswith("rgb")}
    maps = {name: x for name, x in seen.items() if x.ndim == 4 and name not in images}
    chosen = {name: choose_filters(x, _FILTERS) for name, x in maps.items()}
    figures = [_image_figure(images)] if len(images) > 1 else []
    for name, x in maps.items():
        figures.append(_map_figure(_caption(gan, name, chosen[name]), images[gan.stages[-1]], x, chosen[name]))
    table, numbers = _statistics(gan, seen)
    for name, filters in chosen.items():
        numbers[name]["shown_filters"] = filters.tolist()
    arrays = {name: maps[name][:_SHOWN][..., chosen[name]] for name in maps}
    return Section(_LEAD, (*figures, table), numbers, arrays)


@jax.jit
def _features(gan: Gan, z: jax.Array, label: jax.Array | None) -> dict[str, jax.Array]:
    """Features after every stage, maps averaged down to at most `_LIMIT` pixels a side."""
    seen: dict[str, jax.Array] = {}

    def tap(name: str, x: jax.Array) -> jax.Array:
        seen[name] = _pool(x.astype(jnp.float32)) if x.ndim == 4 else x
        return x

    gan(z, label=label, edits={name: functools.partial(tap, name) for name in gan.stages})
    return seen


def _pool(x: jax.Array) -> jax.Array:
    n, h, w, c = x.shape
    if h <= _LIMIT:
        return x
    return x.reshape(n, _LIMIT, h // _LIMIT, _LIMIT, w // _LIMIT, c).mean((2, 4))


def choose_filters(x: np.ndarray, count: int) -> np.ndarray:
    """Indices of up to `count` filters of `[n, h, w, c]` that vary most over samples, no two nearly alike."""
    variance = x.var(0).mean((0, 1))
    candidates = np.argsort(-variance, kind="stable")[:64]
    flat = x[..., candidates].reshape(-1, len(candidates))
    flat = flat - flat.mean(0)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=0), 1e-12)
    alike = np.abs(flat.T @ flat) > 0.8
    chosen: list[int] = []
    for i in range(len(candidates)):
        if len(chosen) < count and not alike[i, chosen].any():
            chosen.append(i)
    return candidates[chosen]


def _image_figure(images: dict[str, np.ndarray]) -> ImageGrid:
    """What the finished image is made of: every rgb stage's image so far, at the final size."""
    size = max(x.shape[1] for x in images.values())
    rows = np.stack([enlarge(x, size // x.shape[1]) for x in images.values()])
    return ImageGrid(rows, "The image so far, after each stage that adds to it.", rows=tuple(images), cell=96)


def _caption(gan: Gan, name: str, filters: np.ndarray) -> str:
    h, w, c = gan.shapes[name]
    return f"{name}: {len(filters)} of {c} filters, {h} × {w}"


def _map_figure(caption: str, images: np.ndarray, maps: np.ndarray, filters: np.ndarray) -> ImageGrid:
    """The samples, and below them one row a filter; one colour scale a filter, so that samples compare."""
    x = maps[:_SHOWN][..., filters].transpose(3, 0, 1, 2)
    scale = np.maximum(np.percentile(np.abs(x), 99.5, axis=(1, 2, 3), keepdims=True), 1e-12)
    both_signs = (x < -0.25 * scale).mean() > 0.02
    colour = signed if both_signs else heat
    caption += " (orange above zero, blue below)" if both_signs else ""
    rows = enlarge(colour(x, scale), images.shape[1] // x.shape[2])
    images = np.broadcast_to(images, (*images.shape[:-1], 3))
    return ImageGrid(np.concatenate([images[None], rows]), caption, ("", *(f"#{i}" for i in filters)), cell=64)


def _statistics(gan: Gan, seen: dict[str, np.ndarray]) -> tuple[Table, dict]:
    numbers = {name: _describe(x) for name, x in seen.items()}
    rows = tuple(
        (name, " × ".join(map(str, gan.shapes[name])), v["mean"], v["deviation"], f"{v['active']:.0%}", v["silent"])
        for name, v in numbers.items()
    )
    columns = ("stage", "shape", "mean", "deviation", "active", "silent filters")
    caption = (
        "Active: share of positive values. Silent: filters whose value never changes, which the generator does not use."
    )
    return Table(columns, rows, caption), numbers


def _describe(x: np.ndarray) -> dict:
    deviations = x.reshape(-1, x.shape[-1]).std(0)
    return {
        "mean": float(x.mean()),
        "deviation": float(x.std()),
        "active": float((x > 0).mean()),
        "silent": int((deviations < 1e-6 * max(float(deviations.max()), 1e-12)).sum()),
    }
