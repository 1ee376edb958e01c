"""For a generator trained on a world: what it draws, counted against what the world draws."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ganx import codes
from ganx.data import open_source
from ganx.data.worlds import PictureWorld
from ganx.gan import Gan
from ganx.lens import Chart, Figure, ImageGrid, Inquiry, Section, Table, register
from ganx.pictures import shrink

_SHOWN = 8
_SEEN = 0.001  # share of the pixels above which a class counts as seen: one stray pixel does not
_LEAD = (
    "This generator learned from a procedural world in which every part has colours of its own. So each pixel can be "
    "named by its nearest colour, and what the generator draws too rarely or too often can be counted."
)
_SHARES = "How much of the picture each class covers, on average. Thin lines are 95% intervals."
_OCCURRENCE = "In how many pictures each class is seen, that is, covers more than 0.1%."
_ATTRIBUTES = "How often each attribute is read off the pixels."

Values = dict[str, np.ndarray]
"""One number an image and label, float32 `[n, labels]`, under "world" and under "generated"."""


@dataclasses.dataclass(frozen=True)
class Count:
    """What was read off images: per class, and per value of each attribute.

    Attributes:
      shares: float32 `[n, classes]`, of the pixels.
      attributes: int32 `[n]` value indices by attribute name.
    """

    shares: np.ndarray
    attributes: dict[str, np.ndarray]


@register("truth", order=50, title="Against the truth")
def truth(gan: Gan, inquiry: Inquiry) -> Section | None:
    """Class and attribute statistics of generated images against the world's; None without a world in colour."""
    world = _world(gan, inquiry.source)
    if world is None:
        return None
    z, label = gan.latents(inquiry.key, inquiry.samples), gan.labels(inquiry.key, inquiry.samples)
    fakes = codes.paint(gan, codes.encode_jit(gan, z, label=label), label=label)
    reals = world.gather(np.arange(inquiry.samples)).image
    counts = {"world": count(world, reals), "generated": count(world, fakes)}
    shares = {name: x.shares for name, x in counts.items()}
    seen = {name: (x > _SEEN).astype(np.float32) for name, x in shares.items()}
    labels, indicators = _indicators(world, counts)
    figures: list[Figure] = [
        _picture(world, reals, fakes),
        _chart(world.CLASSES, shares, "% of the pixels", _SHARES, scale="sqrt"),
        _chart(world.CLASSES, seen, "% of the pictures", _OCCURRENCE),
        _chart(labels, indicators, "% of the pictures", _ATTRIBUTES),
        _table(world.CLASSES, shares, seen),
    ]
    numbers = {
        "shares": _compare(world.CLASSES, shares),
        "occurrence": _compare(world.CLASSES, seen),
        "attributes": _compare(labels, indicators),
        "share_distance": _distance(shares),
        "samples": inquiry.samples,
    }
    return Section(_LEAD, tuple(figures), numbers, {f"{name}/shares": x for name, x in shares.items()})


def _world(gan: Gan, source: str) -> PictureWorld | None:
    if not source.startswith("world:") or gan.spec.channels != 3:
        return None
    world = open_source(source)
    return dataclasses.replace(world, size=gan.spec.resolution) if isinstance(world, PictureWorld) else None


def count(world: PictureWorld, images: np.ndarray) -> Count:
    """Reads classes and attributes off uint8 images `[n, R, R, 3]`; the same rules for real and generated ones."""
    shares, attributes = jax.tree.map(np.asarray, _read(world, jnp.asarray(images)))
    return Count(shares, attributes)


@functools.partial(jax.jit, static_argnums=0)
def _read(world: PictureWorld, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    def one(image: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        batch = image[None]
        return world.pixel_shares(world.oracle(batch))[0], {k: v[0] for k, v in world.read(batch).items()}

    return jax.lax.map(one, images, batch_size=min(128, len(images)))


def _indicators(world: PictureWorld, counts: dict[str, Count]) -> tuple[tuple[str, ...], Values]:
    """Which attribute values each image shows, float32 `[n, values]`; for a yes-or-no attribute only the yes."""
    read = counts["world"].attributes
    pairs = [(name, index) for name in world.ATTRS if name in read for index in range(len(world.ATTRS[name]))]
    pairs = [(name, i) for name, i in pairs if world.ATTRS[name] != ("no", "yes") or i == 1]
    labels = [_label(name, world.ATTRS[name], i) for name, i in pairs]
    shown = {k: np.stack([v.attributes[name] == i for name, i in pairs], 1) for k, v in counts.items()}
    return tuple(labels), {k: v.astype(np.float32) for k, v in shown.items()}


def _label(name: str, values: tuple[str, ...], index: int) -> str:
    name = name.replace("_", " ")
    return name if values == ("no", "yes") else f"{name}: {values[index]}"


def _chart(labels: tuple[str, ...], values: Values, unit: str, caption: str, scale: str = "linear") -> Chart:
    means = {name: 100 * x.mean(0) for name, x in values.items()}
    errors = {name: 196 * _standard_error(x) for name, x in values.items()}
    return Chart("bars", labels, means, caption, errors, unit, scale)


def _standard_error(x: np.ndarray) -> np.ndarray:
    return x.std(0) / np.sqrt(len(x))


def _compare(labels: tuple[str, ...], values: Values) -> dict[str, dict[str, float]]:
    """Means and standard errors by label."""
    columns = {name: x.mean(0) for name, x in values.items()}
    columns |= {f"{name}_error": _standard_error(x) for name, x in values.items()}
    return {label: {name: float(x[i]) for name, x in columns.items()} for i, label in enumerate(labels)}


def _distance(shares: Values) -> float:
    """Total variation between the mean shares, in [0, 1]: the part of the picture that would have to change class."""
    return float(np.abs(shares["world"].mean(0) - shares["generated"].mean(0)).sum() / 2)


def _table(labels: tuple[str, ...], shares: Values, seen: Values) -> Table:
    means = [100 * values[name].mean(0) for values in (shares, seen) for name in ("world", "generated")]
    rows = tuple((label, *(f"{mean[i]:.2f}%" for mean in means)) for i, label in enumerate(labels))
    columns = ("class", "share, world", "share, generated", "seen, world", "seen, generated")
    return Table(columns, rows, "The classes in numbers.")


def _picture(world: PictureWorld, reals: np.ndarray, fakes: np.ndarray) -> ImageGrid:
    palette = world.palette
    read = palette.colours.astype(np.uint8)[np.asarray(palette.entries(jnp.asarray(fakes[:_SHOWN])))]
    rows = np.stack([reals[:_SHOWN], fakes[:_SHOWN], read])
    caption = "Pictures of the world, generated ones, and these with every pixel replaced by its nearest colour."
    return ImageGrid(shrink(rows, 128), caption, rows=("world", "drawn", "read"), cell=116)
