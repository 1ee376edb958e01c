"""`PictureWorld`: a world of pictures painted from signed distances, with masks and named attributes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ganx.data.example import Example, SourceSpec
from ganx.data.worlds import options, oracle, painter, priors
from ganx.data.worlds.base import Params, World, compiled
from ganx.data.worlds.painter import Layer
from ganx.data.worlds.priors import Attrs, Combos, Tables
from ganx.errors import GanxError, unknown

Scalars = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class PictureWorld(World):
    """What faces, scenes and digits share.

    Attributes:
      size: height and width in pixels.
      edges: "hard" (default): every pixel has one shape's colour, which makes the colour oracle exact; "soft":
        anti-aliased.
      prior: tables of probabilities by attribute, or by tuple of attributes for correlated ones; the rest keep
        their default, uniform unless the world says otherwise.
      exclude: combinations of attribute values that are never drawn.
      balance: attributes to be made uniform again after `exclude`.
      drop: mask classes, or objects with all their classes, that the train split never shows.
      max_area: largest share of the picture that an object of a class may cover in the train split; an
        example where it covers more is drawn without that object.
      label: the attribute whose values are the class labels, instead of the world's own.
    """

    PALETTE: ClassVar[oracle.Colours]
    OBJECTS: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Attributes that say whether something is there (value 0: it is not), with the classes they paint."""
    LABEL: ClassVar[str] = ""
    """The attribute whose values are `LABELS`, the class labels unless `label` names another."""

    size: int = 64
    edges: str = "hard"
    prior: Tables = ()
    exclude: Combos = ()
    balance: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    max_area: tuple[tuple[str, float], ...] = ()
    label: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._settle_integer("size", 8)
        if self.edges not in painter.EDGES:
            raise unknown("kind of edges", self.edges, painter.EDGES)
        self._settle("prior", options.tables(self._attrs, self.prior))
        self._settle("exclude", options.combos(self._attrs, self.exclude))
        self._settle("balance", options.names("attribute", self.balance, self.ATTRS))
        self._settle("drop", options.names("class", self.drop, (*self.CLASSES[1:], *self.OBJECTS)))
        removable = [part for parts in self.OBJECTS.values() for part in parts]
        self._settle("max_area", options.numbers("max_area", self.max_area, removable))
        if self.label and self.label not in self.ATTRS:
            raise unknown("attribute", self.label, self.ATTRS)
        self.table  # noqa: B018  (refuses an impossible prior here rather than in the first batch)

    @property
    def numbers(self) -> int:
        """How many uniform numbers `values` takes."""
        raise NotImplementedError

    def values(self, u: jax.Array) -> dict[str, jax.Array]:
        """The numbers of one example that no attribute names, from `numbers` uniform ones, float32."""
        raise NotImplementedError

    def layers(self, attrs: Scalars, values: Scalars, pixels: tuple[jax.Array, jax.Array]) -> list[Layer]:
        """The shapes of one example, back to front; the first one fills the picture."""
        raise NotImplementedError

    def pixel(self, values: Scalars) -> float | jax.Array:
        """Side of a pixel in the units of the shapes of one example."""
        return 2 / self.size

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return (self.size, self.size, 3)

    @property
    def palette(self) -> oracle.Palette:
        """The colours of the classes."""
        return oracle.Palette(self.PALETTE, self.CLASSES)

    @property
    def table(self) -> np.ndarray:
        """Joint probabilities of the attributes, float64, one axis an attribute in the order of `ATTRS`."""
        return priors.joint(self._attrs, self._tables(), self.exclude, self.balance)

    @compiled
    def params(self, indices: jax.Array | np.ndarray) -> Params:
        """What the examples at `indices`, int32 `[n]`, are made of. Pure and traceable.

        The numbers of example i do not depend on prior, drop or size: only its attributes do.
        """
        indices = jnp.asarray(indices, jnp.int32)
        u = self._uniforms(indices, self.numbers + 1)
        drawn = jax.vmap(lambda one: priors.draw(self.table, one))(u[:, 0])
        params = Params(dict(zip(self.ATTRS, drawn, strict=True)), jax.vmap(self.values)(u[:, 1:]), indices)
        return self._without_large(self._without(params, self._absent()))

    @compiled
    def draw(self, params: Params) -> Example:
        """The examples that `params` describe, as jax arrays. Pure and traceable.

        Returns:
          An `Example` with image uint8 `[n, R, R, 3]` and mask uint8 `[n, R, R]`.
        """
        image, mask = painter.unpack(jax.vmap(self._paint)(params.attrs, params.values))
        return Example(image, self.labels(params), params.attrs, mask, params.index)

    @property
    def spec(self) -> SourceSpec:
        """What is known without drawing an example."""
        spec = super().spec
        return dataclasses.replace(spec, labels=self.ATTRS[self.label]) if self.label else spec

    def labels(self, params: Params) -> jax.Array:
        """Class label of each example, int32 `[n]`: -1 where there are no classes."""
        name = self.label or self.LABEL
        return params.attrs[name] if name else jnp.full_like(params.index, -1)

    def counterfactual(self, params: Params, name: str, value: Any) -> Params:
        """The same examples with one attribute changed and all else kept.

        Args:
          name: an attribute, or one of `params.values`.
          value: the attribute's new value, by name or index, or int32 `[n]`; for one of `params.values` a number.
        """
        if name in params.values:
            new = jnp.broadcast_to(jnp.asarray(value, jnp.float32), params.values[name].shape)
            return dataclasses.replace(params, values={**params.values, name: new})
        if not isinstance(value, jax.Array | np.ndarray):
            value = options.value_index(self._attrs, name, value)
        if name in self._absent():
            raise GanxError(f"this world drops {name!r}, so it cannot be given back; use the world without drop=")
        new = jnp.broadcast_to(jnp.asarray(value, jnp.int32), params.index.shape)
        return dataclasses.replace(params, attrs={**params.attrs, name: new})

    def changed(self, params: Params, name: str, value: Any) -> jax.Array:
        """Where the counterfactual looks different: some channel by more than 8 of 255. bool `[n, R, R]`."""
        before, after = self.draw(params).image, self.draw(self.counterfactual(params, name, value)).image
        return jnp.any(jnp.abs(before.astype(jnp.int32) - after.astype(jnp.int32)) > 8, axis=-1)

    @compiled
    def oracle(self, images: jax.Array) -> jax.Array:
        """Class of every pixel by its nearest palette colour: uint8 `[n, R, R]`. Jittable; exact on hard renders.

        Args:
          images: `[n, R, R, 3]`, uint8, or float in [-1, 1].
        """
        return self.palette.classes(images)

    @compiled
    def pixel_shares(self, mask: jax.Array) -> jax.Array:
        """Share of each class among a picture's pixels, float32 `[n, classes]`; pixels at 255 do not count."""
        return oracle.shares(mask, len(self.CLASSES))

    @compiled
    def read(self, images: jax.Array) -> dict[str, jax.Array]:
        """Attributes read off the pixels by fixed rules: int32 `[n]` by name; images as for `oracle`."""
        raise NotImplementedError

    @property
    def _attrs(self) -> Attrs:
        return tuple(self.ATTRS.items())

    def _tables(self) -> Tables:
        return self.prior

    def _dropped(self) -> set[str]:
        """Classes that this split never shows."""
        if self.split != "train":
            return set()
        return {part for name in self.drop for part in self.OBJECTS.get(name, (name,))}

    def _absent(self) -> list[str]:
        """Objects of which nothing would be left to see."""
        dropped = self._dropped()
        return [name for name, parts in self.OBJECTS.items() if dropped.issuperset(parts)]

    def _without(self, params: Params, names: list[str]) -> Params:
        gone = {name: jnp.zeros_like(params.attrs[name]) for name in names}
        return dataclasses.replace(params, attrs={**params.attrs, **gone})

    def _without_large(self, params: Params) -> Params:
        """Removes the objects of classes that cover more than `max_area` of the picture."""
        if not self.max_area or self.split != "train":
            return params
        shares = self.pixel_shares(self.draw(params).mask)
        attrs = dict(params.attrs)
        for part, limit in self.max_area:
            name = next(name for name, parts in self.OBJECTS.items() if part in parts)
            attrs[name] = jnp.where(shares[:, self.CLASSES.index(part)] > limit, 0, attrs[name])
        return dataclasses.replace(params, attrs=attrs)

    def _paint(self, attrs: Scalars, values: Scalars) -> jax.Array:
        """Packed pixels of one example, int32 `[R, R]`."""
        ground, *layers = self.layers(attrs, values, painter.grid(self.size))
        hidden = {self.CLASSES.index(part) for part in self._dropped()}
        seen = [layer for layer in layers if layer.part not in hidden]
        return painter.paint(seen, ground, self.pixel(values), self.edges)
