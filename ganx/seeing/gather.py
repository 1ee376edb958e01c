"""What the commands are given: pictures to invert, and pictures to count, by one string each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from ganx.data import open_source
from ganx.data.images import SUFFIXES, Preparation, decode
from ganx.data.places import open_path
from ganx.data.prepare import with_options
from ganx.errors import GanxError
from ganx.gan import Gan, Spec
from ganx.seeing.measure import Pictures, Table, of_gan, of_masks, of_source
from ganx.segment import Segmenter, note
from ganx.segmenters import open_segmenter
from ganx.store import MANIFEST, bundled, load
from ganx.training.logs import say

MASKS = "masks"
"""Name that stands for the masks that come with a source, in place of a segmenter."""
SAMPLES = "samples"
"""Name that stands for what a generator draws itself, in place of a source of pictures."""


def pictures(text: str, segmenter: str, seed: int) -> Pictures | Table:
    """What a word of the command line stands for: tallies that were written before, a GAN, or a source.

    Args:
      text: an .npz of tallies, a saved or bundled GAN, or what `open_source` takes.
      segmenter: a segmenter's name; "masks" for a source's own masks; "" for the world's oracle of a world, else masks.
      seed: of a GAN's latents.
    """
    if text.endswith(".npz") and ":" not in text:
        return Table.load(text)
    if is_gan(text):
        if segmenter in ("", MASKS):
            raise GanxError(f"{text} draws no masks; name a segmenter, such as --segmenter world:scenes")
        return of_gan(load(text), named(segmenter), jax.random.key(seed), text)
    source = open_source(text)
    if segmenter == MASKS or (not segmenter and not text.startswith("world:")):
        return of_masks(source)
    return of_source(source, named(segmenter or text))


def named(segmenter: str) -> Segmenter:
    """A segmenter by its name; how good it is, is said."""
    found = open_segmenter(segmenter)
    if told := note(found):
        say(told)
    return found


def is_gan(text: str) -> bool:
    """Whether a word names a saved or bundled GAN."""
    return text in bundled() or (":" not in text and (open_path(text) / MANIFEST).exists())


@dataclasses.dataclass(frozen=True)
class Given:
    """Pictures to invert.

    Attributes:
      images: float32 `[n, H, W, C]` in [-1, 1] at the generator's size.
      names: a name for each.
      own: bool `[n]`, those that the generator drew itself.
      z: float32 `[n, *latent]`, the codes of those; 0 for others.
    """

    images: np.ndarray
    names: tuple[str, ...]
    own: np.ndarray
    z: np.ndarray


def images(places: Sequence[str], gan: Gan, count: int, seed: int = 0, label: np.ndarray | None = None) -> Given:
    """Pictures to invert.

    Args:
      places: image files, sources, or "samples" for what the generator itself draws.
      count: how many to take of each source.
      seed: of the latents of "samples".
      label: the class of "samples", int32 `[1]`, for a generator with classes.
    """
    if count < 1:
        raise GanxError(f"{count} pictures of each source are none; give --count from 1 up")
    parts, names, own, codes = [], [], [], []
    for place in places:
        mine = place == SAMPLES
        z = np.asarray(gan.latents(jax.random.key(seed), count)) if mine else None
        found, called = _own(gan, z, label) if mine else _some(place, gan, count)
        parts.append(found)
        names += called
        own += [mine] * len(found)
        codes.append(np.zeros((len(found), *gan.spec.latent), np.float32) if z is None else z)
    return Given(np.concatenate(parts), tuple(names), np.asarray(own), np.concatenate(codes))


def _own(gan: Gan, z: Any, label: np.ndarray | None) -> tuple[np.ndarray, list[str]]:
    drawn = gan(z, label=None if label is None else np.repeat(label, len(z)))
    return np.clip(np.asarray(drawn), -1, 1), [f"sample {i}" for i in range(len(z))]


def _some(place: str, gan: Gan, count: int) -> tuple[np.ndarray, list[str]]:
    if place.lower().endswith(SUFFIXES) and "?" not in place:
        return _floats(_file(place, gan.spec)[None]), [epath.Path(place).name]
    source = open_source(_fitted(place, gan.spec))
    taken = min(count, len(source))
    example = source.gather(np.arange(taken))
    return _floats(np.asarray(example.image)), [f"{place} {i}" for i in range(taken)]


def _fitted(place: str, spec: Spec) -> str:
    """A source at the generator's size."""
    if place.startswith("world:"):
        return with_options(place, {"size": spec.resolution})
    size, channels = str(spec.resolution), str(spec.channels)
    return with_options(place, {"size": size, "crop": "center-square", "channels": channels})


def _file(place: str, spec: Spec) -> np.ndarray:
    path = open_path(place)
    if not path.exists():
        raise GanxError(f"no picture {place}; give files, a source such as folder:PATH, or samples")
    size = (spec.resolution, spec.resolution)
    prepared = Preparation(size, "center-square", channels=spec.channels)
    return prepared.image(decode(path.read_bytes(), place))


def _floats(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 127.5 - 1.0
