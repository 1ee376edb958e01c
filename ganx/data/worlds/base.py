"""`World`: a source whose examples are pure functions of (seed, split, index), drawn on the device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self, TypeVar, cast

import jax
import numpy as np

from ganx.data.example import Example, SourceSpec
from ganx.data.worlds import options
from ganx.errors import GanxError, unknown

Method = TypeVar("Method", bound=Callable[..., Any])

SPLITS = ("train", "test", "validation")
LICENCE = "Apache-2.0, drawn by ganx"
BATCH = 1024
"""Most examples drawn in one call: larger batches leave the cache."""


def compiled(method: Method) -> Method:
    """A method of a world as one compiled program for each world and shape; inside another program, part of it."""
    return cast(Method, jax.jit(method, static_argnums=0))


@dataclasses.dataclass(frozen=True)
class Params:
    """All that one example is made of, or a batch of them. A pytree; every leaf has a leading axis `n`.

    Attributes:
      attrs: int32 value index by attribute name.
      values: float32 numbers by name, that no attribute names: identity, pose, positions, colours.
      index: int32 position in the world.
    """

    attrs: dict[str, jax.Array]
    values: dict[str, jax.Array]
    index: jax.Array


jax.tree_util.register_dataclass(Params, data_fields=["attrs", "values", "index"], meta_fields=[])


@dataclasses.dataclass(frozen=True)
class World:
    """What all worlds share; make one with `ganx.data.worlds.world`. Hashable: it is its own configuration.

    Attributes:
      seed: another seed is another world of the same kind.
      split: "train", "test" or "validation": disjoint streams of examples.
      length: number of examples, None for the split's usual number. `render` takes any index.
    """

    NAME: ClassVar[str]
    LENGTH: ClassVar[int] = 50_000
    ATTRS: ClassVar[dict[str, tuple[str, ...]]] = {}
    LABELS: ClassVar[tuple[str, ...]] = ()
    CLASSES: ClassVar[tuple[str, ...]] = ()
    VARIANT: ClassVar[str] = ""
    """The option, as text, by which `world` chose this class among several of one name."""

    seed: int = 0
    split: str = "train"
    length: int | None = None

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise unknown("split", self.split, SPLITS)
        for name in ("seed", "length"):
            self._settle_integer(name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        raise NotImplementedError

    def params(self, indices: jax.Array | np.ndarray) -> Params:
        """What the examples at `indices`, int32 `[n]`, are made of. Pure and traceable."""
        raise NotImplementedError

    def draw(self, params: Params) -> Example:
        """The examples that `params` describe, as jax arrays. Pure and traceable."""
        raise NotImplementedError

    @compiled
    def render(self, indices: jax.Array | np.ndarray) -> Example:
        """The examples at `indices`, int32 `[n]`, as jax arrays: `draw` after `params`.

        Deterministic in (seed, split, index), and usable inside a jitted training step. Hard edges may flip
        single boundary pixels between backends.
        """
        # The barrier keeps XLA from working out an example's numbers again for each of its pixels.
        return self.draw(jax.lax.optimization_barrier(self.params(indices)))

    @property
    def spec(self) -> SourceSpec:
        """What is known without drawing an example."""
        return SourceSpec(self.name, self.shape, self.LABELS, dict(self.ATTRS), self.CLASSES, LICENCE, rendered=True)

    @property
    def name(self) -> str:
        """The source string that opens this world again: every option that is not at its default."""
        given = [
            f"{field.name}={options.to_text(tuple(self.ATTRS.items()), field.name, value)}"
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        ]
        query = "&".join(sorted(given + [self.VARIANT] * bool(self.VARIANT)))
        return f"world:{self.NAME}" + f"?{query}" * bool(query)

    def __len__(self) -> int:
        return self.length or (self.LENGTH if self.split == "train" else 5_000)

    def __getitem__(self, index: int) -> Example:
        """One example, as numpy arrays; IndexError outside [0, len)."""
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is outside this world of {len(self)} examples")
        return jax.tree.map(lambda leaf: leaf[0], self.gather(np.asarray([index])))

    def gather(self, indices: np.ndarray) -> Example:
        """The examples at `indices`, int `[n]`, as one batch of numpy arrays.

        Calls are padded to a power of two and split at 1024, so that few programs are compiled.
        """
        indices = np.asarray(indices)
        parts = [self._chunk(indices[i : i + BATCH]) for i in range(0, max(len(indices), 1), BATCH)]
        return parts[0] if len(parts) == 1 else jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def _chunk(self, indices: np.ndarray) -> Example:
        padded = np.zeros(1 << max(len(indices) - 1, 0).bit_length(), np.int32)
        padded[: len(indices)] = indices
        return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(indices)], self.render(padded))

    def _uniforms(self, indices: jax.Array, n: int) -> jax.Array:
        """`n` numbers in [0, 1) for every index, float32 `[len(indices), n]`, the same on every backend."""
        base = jax.random.fold_in(jax.random.key(self.seed, impl="threefry2x32"), SPLITS.index(self.split))
        return jax.vmap(lambda i: jax.random.uniform(jax.random.fold_in(base, i), (n,)))(indices)

    def _settle(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _settle_integer(self, name: str, least: int = 0) -> None:
        """Reads an option that came as text, and refuses what is no whole number."""
        value = getattr(self, name)
        if value is None or (type(value) is int and value >= least):
            return
        if not str(value).lstrip("-").isdigit() or int(value) < least:
            raise GanxError(f"{name}={value} of world:{self.NAME} is no whole number from {least} up")
        self._settle(name, int(value))

    def replace(self, **changes: Any) -> Self:
        """The same world with other options."""
        return dataclasses.replace(self, **changes)
