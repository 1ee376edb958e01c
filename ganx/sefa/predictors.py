"""Predictors: what says how much of an attribute is in a picture.

A predictor is any pure function of images, float32 `[n, H, W, C]` in [-1, 1], to scores `[n]` by column name (or
`[n, columns]` where the names are given). Columns named "hair=blond", "hair=black" are values of one attribute.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ganx.data import open_source
from ganx.data.worlds import PictureWorld
from ganx.errors import GanxError, one_line, unknown
from ganx.gan import Gan
from ganx.readers import AttributeReader, attribute_reader, named

Scores = Mapping[str, jax.Array] | jax.Array


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A predictor whose columns are known.

    Attributes:
      columns: names of the scores; those of one attribute with several values are "attribute=value".
      score: images float32 `[n, H, W, C]` in [-1, 1] to float32 `[n, columns]`; pure and traceable.
      note: how good it is, for people; "" where that is not known.
      side: pixels a side at which it looks, where these are more than pictures have: batches are the smaller for it.
    """

    columns: tuple[str, ...]
    score: Callable[[jax.Array], jax.Array]
    note: str = ""
    side: int = 0

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that the columns belong to, each once, in their order."""
        return tuple(dict.fromkeys(attribute_of(column) for column in self.columns))

    def column(self, name: str) -> int:
        """Position of a column; an attribute with one column may be named for short."""
        if name not in self.columns:
            raise unknown("attribute", name, self.columns)
        return self.columns.index(name)


def attribute_of(column: str) -> str:
    """ "hair" for "hair=blond"."""
    return column.split("=")[0]


def as_predictor(
    predictor: Predictor | Callable[[jax.Array], Scores], gan: Gan, names: tuple[str, ...] = ()
) -> Predictor:
    """A plain function as a `Predictor`, its columns found without running it.

    Args:
      predictor: images to scores by name, which become columns in alphabetical order; or to
        `[n, columns]`, then `names` says which.
      gan: whose pictures it will see.
    """
    if isinstance(predictor, Predictor):
        return predictor
    images = jax.ShapeDtypeStruct((2, gan.spec.resolution, gan.spec.resolution, gan.spec.channels), jnp.float32)
    try:
        found = jax.eval_shape(predictor, images)
    except Exception as error:  # whatever a user's function may raise
        raise GanxError(
            f"the predictor fails on images {list(images.shape)} ({type(error).__name__}: {one_line(error)}); "
            "give a function that JAX can trace"
        ) from error
    if not isinstance(found, Mapping | jax.ShapeDtypeStruct):
        raise GanxError(f"a predictor returns scores as arrays, not {type(found).__name__}")
    columns = tuple(sorted(found)) if isinstance(found, Mapping) else names
    wrong = [s.shape for s in found.values() if s.shape != (2,)] if isinstance(found, Mapping) else []
    if wrong or not columns or not (isinstance(found, Mapping) or found.shape == (2, len(columns))):
        raise GanxError("a predictor returns scores [n] by name, or [n, columns] with names= for the columns")

    def score(images: jax.Array) -> jax.Array:
        scores = predictor(images)
        if isinstance(scores, Mapping):
            return jnp.stack([jnp.asarray(scores[name], jnp.float32) for name in columns], 1)
        return scores.astype(jnp.float32)

    return Predictor(columns, score)


def world_predictor(world: PictureWorld) -> Predictor:
    """What a world's own reader says, as probabilities 0 or 1: exact, nothing trained.

    Attributes of two values are one column, those of more a column for each value.
    """
    image = jax.ShapeDtypeStruct((1, *world.shape), jnp.float32)
    readable = [name for name in world.ATTRS if name in jax.eval_shape(world.read, image)]
    if not readable:
        raise GanxError(f"{world.name} reads no attributes off its pictures; give a predictor")
    columns = []
    for name in readable:
        values = world.ATTRS[name]
        columns += [name] if len(values) == 2 else [f"{name}={value}" for value in values]
    return Predictor(tuple(columns), functools.partial(_read, world, tuple(readable)))


def _read(world: PictureWorld, names: tuple[str, ...], images: jax.Array) -> jax.Array:
    found = world.read(images)
    parts = []
    for name in names:
        count = len(world.ATTRS[name])
        hot = jax.nn.one_hot(found[name], count)
        parts.append(hot[:, 1:] if count == 2 else hot)
    return jnp.concatenate(parts, 1)


def learned_predictor(reader: AttributeReader) -> Predictor:
    """What a trained network says, as probabilities in [0, 1]: columns as in `world_predictor`."""
    columns: list[str] = []
    for name, values in reader.world.ATTRS.items():
        columns += [name] if len(values) == 2 else [f"{name}={value}" for value in values]

    def score(images: jax.Array) -> jax.Array:
        found = reader.probabilities(images)
        return jnp.concatenate([part[:, 1:] if part.shape[1] == 2 else part for part in found.values()], 1)

    return Predictor(tuple(columns), score, reader.note)


def readable(gan: Gan, source: str) -> bool:
    """Whether `source` is a world whose reader knows what is in this GAN's pictures."""
    if not source.startswith("world:"):
        return False
    world = open_source(source)
    if not isinstance(world, PictureWorld) or gan.spec.channels != world.shape[-1]:
        return False
    return bool(jax.eval_shape(world.read, jax.ShapeDtypeStruct((1, *world.shape), jnp.float32)))


def find_predictor(gan: Gan, text: str = "") -> Predictor:
    """The predictor meant.

    Args:
      text: a world's source string ("world:faces") for its exact reader; "learned:faces" for a network trained on that
        world at the GAN's size (`ganx.readers`; "?seed=1" for another one); "resnet:FILE?names=smile,age" for a
        classifier (see `ganx.sefa.classifier`); "package.module:function", imported as Python does; or "" for the
        reader of the world that the GAN was trained on.

    Raises:
      GanxError: none can be found, with what to give.
    """
    source = text or gan.spec.data
    if source.startswith("world:"):
        world = open_source(source)
        if not isinstance(world, PictureWorld) or gan.spec.channels != world.shape[-1]:
            raise GanxError(f"{source} cannot read this GAN's pictures; give a predictor as package.module:function")
        return world_predictor(dataclasses.replace(world, size=gan.spec.resolution))
    if text.startswith("learned:"):
        reader = attribute_reader(*named(text, gan.spec.resolution))
        if (gan.spec.resolution, gan.spec.resolution, gan.spec.channels) != reader.world.shape:
            raise GanxError(
                f"{text} reads pictures of {reader.world.shape}, which this GAN's are not; leave ?size= out"
            )
        return learned_predictor(reader)
    if text.startswith("resnet:"):
        from ganx.sefa.classifier import find_classifier

        return find_classifier(text)
    if not text:
        raise GanxError("nothing says what is in this GAN's pictures; give --predictor package.module:function")
    return as_predictor(find_function(text), gan)


def find_function(text: str) -> Callable[..., Any]:
    """The function "package.module:function", imported as Python does."""
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise GanxError(
            f"predictor {text!r} is neither world:NAME, learned:NAME, resnet:FILE nor package.module:function"
        )
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise GanxError(f"{text!r} cannot be imported ({error}); check its name and PYTHONPATH") from None
    if not callable(found):
        raise GanxError(f"{text!r} is no function of images; give one")
    return found
