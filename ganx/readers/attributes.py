"""Attributes and continuous numbers of a world's pictures, read by a small network."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ganx.data.example import Example
from ganx.data.worlds import PictureWorld, world
from ganx.data.worlds.faces import IDENTITY, POSE, Faces
from ganx.errors import GanxError
from ganx.models.initialise import initialise
from ganx.models.worldnet import WorldNet
from ganx.readers import keep
from ganx.readers.fit import RECIPE, fit, worn
from ganx.readers.worn import draw, wear

STEPS, BATCH = 3000, 64
WIDTHS, WIDTH = (24, 32, 64, 64, 64), 128
RANGES = {**IDENTITY, **POSE}
"""Middle and half range of what is continuous in a face."""
TRUTH = 2048
"""Test pictures that accuracies are measured on."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AttributeReader:
    """Reads a world's pictures; a pytree, its methods pure and traceable.

    Attributes:
      module, variables: the network.
      world: whose attributes they are.
      accuracy: on `TRUTH` test pictures, by "clean" and "worn" (see `ganx.readers.worn`) and then attribute; of a
        number R², the share of its variance that is explained.
    """

    module: WorldNet = dataclasses.field(metadata={"static": True})
    variables: Any
    world: PictureWorld = dataclasses.field(metadata={"static": True})
    accuracy: Any = dataclasses.field(metadata={"static": True}, hash=False, compare=False)

    @property
    def note(self) -> str:
        """How good it is, for people: the least accurate attribute of clean and of worn pictures."""
        worst = ", ".join(
            f"{value:.1%} ({name}, {kind})"
            for kind, found in self.accuracy.items()
            for value, name in [min((found[name], name) for name in self.world.ATTRS)]
        )
        return f"the reader's own accuracy on test pictures of {self.world.name}, at its worst attribute: {worst}"

    def probabilities(self, images: jax.Array) -> dict[str, jax.Array]:
        """Of every value of every attribute: float32 `[n, values]` by name, of images `[n, R, R, C]` in [-1, 1]."""
        logits = self._apply(images)["logits"]
        return {name: jax.nn.softmax(part) for name, part in self._split(logits).items()}

    def read(self, images: jax.Array) -> dict[str, jax.Array]:
        """Likeliest value of every attribute, int32 `[n]` by name."""
        logits = self._split(self._apply(images)["logits"])
        return {name: part.argmax(1).astype(jnp.int32) for name, part in logits.items()}

    def identity(self, images: jax.Array) -> jax.Array:
        """Who a face is: its ten identity numbers, float32 `[n, 10]`, each scaled to [-1, 1]. The distance of two faces
        is Euclidean here; expression, colours and pose do not count.

        Raises:
          GanxError: another world than faces.
        """
        if not isinstance(self.world, Faces):
            raise GanxError(f"pictures of {self.world.name} have no identity; use a reader of world:faces")
        return self._apply(images)["numbers"][:, : len(IDENTITY)]

    def _apply(self, images: jax.Array) -> dict[str, jax.Array]:
        if images.shape[1:] != self.world.shape:
            wanted = "x".join(map(str, self.world.shape))
            raise GanxError(
                f"this reader takes pictures of {wanted}, not {list(images.shape[1:])}; train one of that size"
            )
        return self.module.apply(self.variables, images)  # type: ignore[return-value]

    def _split(self, logits: jax.Array) -> dict[str, jax.Array]:
        bounds = np.cumsum([0, *self.module.choices])
        return {name: logits[:, a:b] for name, (a, b) in zip(self.world.ATTRS, itertools.pairwise(bounds), strict=True)}


def attribute_reader(name: str = "faces", size: int = 64, seed: int = 0, *, steps: int = STEPS) -> AttributeReader:
    """The reader of a world's attributes, and of identity and pose for faces; trained if it is not at hand.

    Args:
      name: "faces", "scenes" or "digits".
      size: side of the pictures that it will read.
      seed: two readers of different seeds saw different pictures; one can judge what was trained against the other.
      steps: of `BATCH` pictures.
    """
    pictures = world(name, size=size, seed=1000 + seed)
    if not isinstance(pictures, PictureWorld):
        raise GanxError(f"world:{name} has no pictures to read; use faces, scenes or digits")
    numbers = len(RANGES) if isinstance(pictures, Faces) else 0
    module = WorldNet(
        tuple(len(values) for values in pictures.ATTRS.values()), numbers, tuple(_convolutions(size)), WIDTH
    )
    config = {
        "kind": "attributes", "world": name, "size": size, "seed": seed, "steps": steps, "batch": BATCH,
        "choices": module.choices, "numbers": numbers, "convolutions": module.convolutions, "width": WIDTH, **RECIPE,
    }  # fmt: skip

    def train() -> tuple[Any, Any]:
        variables = initialise(module.init, jax.random.key(seed), jnp.zeros((1, *pictures.shape)))
        variables = keep.rounded(fit(worn(pictures, BATCH, seed), variables, _objective(module, pictures), steps))
        return variables, measure(AttributeReader(module, variables, pictures, {}))

    variables, accuracy = keep.find_or_train(config, train)
    return AttributeReader(module, variables, pictures, accuracy)


def _convolutions(size: int) -> Iterator[tuple[int, int]]:
    """The first at full size, for a nose is a few pixels long; each further one halves, until the side is at most 4."""
    for i, width in enumerate(WIDTHS):
        if i == 0 or size > 4:
            yield width, 1 if i == 0 else 2
            size = size if i == 0 else -(-size // 2)


def measure(reader: AttributeReader) -> dict[str, dict[str, float]]:
    """What `AttributeReader.accuracy` holds, measured."""
    found = {}
    pictures = dataclasses.replace(reader.world, split="test")
    clean, example = jax.jit(draw, static_argnums=0)(pictures, jnp.arange(TRUTH))
    for kind, images in (("clean", clean), ("worn", jax.jit(wear)(clean, jax.random.key(0)))):
        read = jax.jit(reader.read)(images)
        found[kind] = {name: round(float((read[name] == example.attrs[name]).mean()), 5) for name in read}
        if reader.module.numbers:
            values = pictures.params(jnp.arange(TRUTH)).values
            guess = jax.jit(reader._apply)(images)["numbers"]
            for i, (name, (middle, half)) in enumerate(RANGES.items()):
                truth = (values[name] - middle) / half
                found[kind][name] = round(float(1 - jnp.square(guess[:, i] - truth).mean() / truth.var()), 4)
    return found


def _objective(module: WorldNet, pictures: PictureWorld) -> Any:
    bounds = np.cumsum([0, *module.choices])

    def objective(variables: Any, images: jax.Array, example: Example, values: Any) -> jax.Array:
        found: Any = module.apply(variables, images)
        loss = jnp.float32(0)
        for name, (a, b) in zip(pictures.ATTRS, itertools.pairwise(bounds), strict=True):
            right = jax.nn.one_hot(example.attrs[name], b - a)
            loss += optax.softmax_cross_entropy(found["logits"][:, a:b], right).mean()
        if module.numbers:
            truth = jnp.stack([(values[name] - middle) / half for name, (middle, half) in RANGES.items()], 1)
            loss += jnp.square(found["numbers"] - truth).sum(1).mean()
        return loss

    return objective
