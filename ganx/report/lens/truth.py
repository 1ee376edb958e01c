"""For a generator trained on a world: what it draws, counted against what the world draws."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from ganx import codes
from ganx.data.source import open_source
from ganx.data.worlds import PictureWorld
from ganx.data.worlds.oracle import palette_of
from ganx.gan import Gan
from ganx.lens import Chart, ImageGrid, Inquiry, Section, Table, register
from ganx.pictures import shrink

_SHOWN = 8
_LEAD = (
    "This generator learned from a procedural world in which every part has colours of its own. So each pixel can be "
    "named by its nearest colour, and what the generator draws too rarely or too often can be counted."
)
_CAPTIONS = {
    "shares": "How much of the picture each class covers, on average. Thin lines are 95% intervals.",
    "occurrence": "In how many pictures each class is seen at all.",
    "attributes": "How often each attribute is read off the pixels.",
    "table": "The same in numbers.",
}


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
    """Class and attribute statistics of generated images against the world's; None unless trained on a world."""
    world = _world(gan, inquiry.source)
    if world is None:
        return None
    fakes = codes.paint(gan, codes.encode_jit(gan, gan.latents(inquiry.key, inquiry.samples)))
    reals = world.gather(np.arange(inquiry.samples)).image
    counts = {"world": count(world, reals), "generated": count(world, fakes)}
    classes = {"shares": ({k: v.shares for k, v in counts.items()}, "% of the pixels")}
    classes["occurrence"] = ({k: (v.shares > 0).astype(np.float32) for k, v in counts.items()}, "% of the pictures")
    labels, indicators = _indicators(world, counts)
    charts = [_chart(world.CLASSES, *classes[name], _CAPTIONS[name]) for name in classes]
    charts.append(_chart(labels, indicators, "% of the pictures", _CAPTIONS["attributes"]))
    numbers = {name: _compare(world.CLASSES, values) for name, (values, _) in classes.items()}
    numbers |= {"attributes": _compare(labels, indicators), "samples": inquiry.samples}
    numbers["share_distance"] = float(np.abs(_gap(classes["shares"][0])).sum() / 2)
    figures = (_picture(world, reals, fakes), *charts, _table(world, numbers))
    return Section(_LEAD, figures, numbers, {f"{k}/shares": v.shares for k, v in counts.items()})


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


def _indicators(world: PictureWorld, counts: dict[str, Count]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Which attribute values each image shows, float32 `[n, values]`; for a yes-or-no attribute only the yes."""
    pairs = [(name, index) for name, values in world.ATTRS.items() for index in range(len(values))]
    pairs = [(name, i) for name, i in pairs if world.ATTRS[name] != ("no", "yes") or i == 1]
    labels = [_label(name, world.ATTRS[name], i) for name, i in pairs]
    shown = {k: np.stack([v.attributes[name] == i for name, i in pairs], 1) for k, v in counts.items()}
    return tuple(labels), {k: v.astype(np.float32) for k, v in shown.items()}


def _label(name: str, values: tuple[str, ...], index: int) -> str:
    name = name.replace("_", " ")
    return name if values == ("no", "yes") else f"{name}: {values[index]}"


def _chart(labels: tuple[str, ...], values: dict[str, np.ndarray], unit: str, caption: str) -> Chart:
    means = {name: 100 * x.mean(0) for name, x in values.items()}
    errors = {name: 196 * _standard_error(x) for name, x in values.items()}
    return Chart("bars", labels, means, caption, errors, unit)


def _standard_error(x: np.ndarray) -> np.ndarray:
    return x.std(0) / np.sqrt(len(x))


def _compare(labels: tuple[str, ...], values: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Means and standard errors by label."""
    columns = {name: x.mean(0) for name, x in values.items()}
    columns |= {f"{name}_error": _standard_error(x) for name, x in values.items()}
    return {label: {k: float(v[i]) for k, v in columns.items()} for i, label in enumerate(labels)}


def _gap(values: dict[str, np.ndarray]) -> np.ndarray:
    return values["generated"].mean(0) - values["world"].mean(0)


def _table(world: PictureWorld, numbers: dict) -> Table:
    rows = []
    for name in world.CLASSES:
        share, seen = numbers["shares"][name], numbers["occurrence"][name]
        rows.append((name, *(f"{100 * v:.2f}%" for v in (share["world"], share["generated"])),
                     *(f"{100 * v:.1f}%" for v in (seen["world"], seen["generated"]))))  # fmt: skip
    columns = ("class", "share, world", "share, generated", "seen, world", "seen, generated")
    return Table(columns, tuple(rows), _CAPTIONS["table"])


def _picture(world: PictureWorld, reals: np.ndarray, fakes: np.ndarray) -> ImageGrid:
    palette = palette_of(world)
    read = palette.colours.astype(np.uint8)[np.asarray(palette.entries(jnp.asarray(fakes[:_SHOWN])))]
    rows = np.stack([reals[:_SHOWN], fakes[:_SHOWN], read])
    caption = "Pictures of the world, generated ones, and these with every pixel replaced by its nearest colour"
    return ImageGrid(shrink(rows, 128), caption, rows=("world", "drawn", "read"), cell=110)
