"""UPerNet as a segmenter: objects, materials, parts and, if wanted, quarters of objects."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from ganx.errors import GanxError
from ganx.models.upernet import UPerNet, resize
from ganx.segment import NONE
from ganx.segmenters import upernet_names

MEAN = np.array([122.7717, 115.9465, 102.9801], np.float32)
"""RGB mean in 0 to 255 that is taken off; there is no division."""
QUARTERS = ("t", "l", "b", "r")
OWNERS = ("sky", "building", "person")
"""The objects whose parts the 2019 code reads."""


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """What the heads mean.

    Attributes:
      objects, materials, parts: names by number, 0 for none.
      groups: for each object that has parts its number and the numbers of its parts, in the order of the part head.
    """

    objects: tuple[str, ...]
    materials: tuple[str, ...]
    parts: tuple[str, ...]
    groups: tuple[tuple[int, tuple[int, ...]], ...]

    @classmethod
    def published(cls) -> Vocabulary:
        """That of the published weights."""
        texts = (upernet_names.OBJECTS, upernet_names.MATERIALS, upernet_names.PARTS)
        names = [tuple(" ".join(word.split()) for word in text.split(";")) for text in texts]
        groups = []
        for group in upernet_names.PART_GROUPS.split("|"):
            owner, parts = group.split(":")
            groups.append((int(owner), tuple(int(part) for part in parts.split())))
        return cls(names[0], names[1], names[2], tuple(groups))

    @classmethod
    def from_json(cls, labels: Mapping[str, Any]) -> Vocabulary:
        """That of a checkpoint's `labels.json`."""
        try:
            objects, parts = tuple(labels["object"]), tuple(labels["part"])
            owners = sorted((objects.index(owner), names) for owner, names in labels["object_part"].items())
            groups = tuple((owner, tuple(parts.index(name) for name in names)) for owner, names in owners)
            return cls(objects, tuple(labels["material"]), parts, groups)
        except (KeyError, ValueError, AttributeError) as error:
            raise GanxError(f"labels.json does not name objects, parts and materials ({error}); restore it") from None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class UPerNetSegmenter:
    """Labels `[n, K, h, w]`: K = 3 (object, material, part), or 5 with quarters.

    Attributes:
      module, variables: the network.
      vocabulary: what its heads mean.
      owners: objects whose parts are read; empty for all.
      sizes: sides to which the image is brought, multiples of 32; scores are summed.
      downsample: labels have the image's size divided by it.
      quarters: also split objects into top, left, bottom and right by connected component; then it runs on the host.
      compat: "gandissect" leaves the last component of every image whole, as the released code does.
    """

    module: UPerNet = dataclasses.field(metadata={"static": True})
    variables: Any
    vocabulary: Vocabulary = dataclasses.field(metadata={"static": True})
    owners: tuple[str, ...] = dataclasses.field(default=OWNERS, metadata={"static": True})
    sizes: tuple[int, ...] = dataclasses.field(default=(256,), metadata={"static": True})
    downsample: int = dataclasses.field(default=4, metadata={"static": True})
    quarters: bool = dataclasses.field(default=False, metadata={"static": True})
    compat: str | None = dataclasses.field(default=None, metadata={"static": True})

    def __post_init__(self) -> None:
        if any(size % 32 or size < 32 for size in self.sizes):
            raise GanxError(f"UPerNet reads sides that are multiples of 32, not {self.sizes}")

    @property
    def on_device(self) -> bool:
        return not self.quarters

    @property
    def material_offset(self) -> int:
        """What is added to a material's number."""
        return (len(self.vocabulary.objects) - 1) * (5 if self.quarters else 1)

    @functools.cached_property
    def groups(self) -> tuple[tuple[int, slice, np.ndarray], ...]:
        """For each owner that is read: its number, its channels of the part head, and the labels that they mean."""
        words, start, found = self.vocabulary, 0, []
        new: dict[str, int] = {}
        first = 1 + self.material_offset + len(words.materials) - 1
        for owner, parts in words.groups:
            stop = start + len(parts)
            if not self.owners or words.objects[owner] in self.owners:
                labels = []
                for part in parts:
                    name = words.parts[part]
                    if name in words.objects:
                        labels.append(words.objects.index(name))
                    else:
                        labels.append(new.setdefault(name, first + len(new)))
                found.append((owner, slice(start, stop), np.array(labels, np.int32)))
            start = stop
        return tuple(found)

    @functools.cached_property
    def _labels(self) -> tuple[tuple[str, str], ...]:
        words = self.vocabulary
        labels = [("-", "object"), *((name, "object") for name in words.objects[1:])]
        if self.quarters:
            labels += [(f"{name}-{side}", "part") for side in QUARTERS for name in words.objects[1:]]
        labels += [(name, "material") for name in words.materials[1:]]
        part_names: dict[int, str] = {}
        for owner, _, numbers in self.groups:
            parts = dict(words.groups)[owner]
            part_names |= {int(n): words.parts[p] for n, p in zip(numbers, parts, strict=True) if n >= len(labels)}
        return (*labels, *((part_names[n], "part") for n in sorted(part_names)))

    @property
    def names(self) -> tuple[str, ...]:
        return (NONE, *(name for name, _ in self._labels[1:]))

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(category for _, category in self._labels)

    @property
    def official_labels(self) -> tuple[tuple[str, str], ...]:
        """Names and categories as the authors list them."""
        return self._labels

    def scores(self, images: jax.Array) -> dict[str, jax.Array]:
        """Softmax of the heads `object`, `part` (within each owner's group) and `material`, summed over `sizes`:
        float32 `[n, h, w, c]`."""
        total: dict[str, jax.Array] = {}
        size = (images.shape[1] // self.downsample, images.shape[2] // self.downsample)
        for side in self.sizes:
            logits: Any = self.module.apply(self.variables, prepare(images, side))
            for name in ("object", "part", "material"):
                grown = resize(logits[name].astype(jnp.float32), size)
                total[name] = total.get(name, 0.0) + self._softmax(name, grown)
        return total

    def _softmax(self, name: str, logits: jax.Array) -> jax.Array:
        if name != "part":
            return jax.nn.softmax(logits)
        ends = np.cumsum([len(parts) for _, parts in self.vocabulary.groups])[:-1]
        return jnp.concatenate([jax.nn.softmax(group) for group in jnp.split(logits, ends, -1)], -1)

    def __call__(self, images: jax.Array) -> Any:
        """int32 `[n, K, h, w]` of images `[n, H, W, 3]` in [-1, 1], which are not clipped."""
        labels = _read(self, images)
        if not self.quarters:
            return labels
        labels = np.asarray(labels)
        return np.concatenate([labels, quarters(labels[:, 0], len(self.vocabulary.objects) - 1, self.compat)], 1)

    def probability(self, images: jax.Array, label: int) -> jax.Array:
        """Score of an object (its parts' channels of that name included, so it may exceed 1), material or part."""
        if self.categories[label] == "part" and self.names[label][-2:] in [f"-{side}" for side in QUARTERS]:
            raise GanxError(f"quarters such as {self.names[label]!r} have no probability; choose the whole object")
        return self.probability_from(self.scores(images), label)

    def probability_from(self, scores: dict[str, jax.Array], label: int) -> jax.Array:
        """`probability` from the scores of the heads."""
        if self.categories[label] == "material":
            return scores["material"][..., label - self.material_offset]
        score = scores["object"][..., label] if label < len(self.vocabulary.objects) else jnp.zeros(())
        for _, where, numbers in self.groups:
            score = score + scores["part"][..., where][..., numbers == label].sum(-1)
        return score


def prepare(images: jax.Array, side: int) -> jax.Array:
    """The network's input `[n, side, side, 3]`: BGR in 0 to 255 less its mean, brought to size by adaptive pooling."""
    x = ((images.astype(jnp.float32) + 1) / 2 * 255 - MEAN)[..., ::-1]
    if x.shape[1:3] == (side, side):
        return x
    rows, columns = (_adaptive(n, side) for n in x.shape[1:3])
    return jnp.einsum("ah,nhwc,bw->nabc", rows, x, columns, precision="highest")


def _adaptive(source: int, target: int) -> np.ndarray:
    """Mean of source pixels floor(i n/m) to ceil((i + 1) n/m) - 1, as a matrix `[target, source]`."""
    at, bins = np.arange(source), np.arange(target)[:, None]
    inside = (at >= bins * source // target) & (at < -(-(bins + 1) * source // target))
    return (inside / inside.sum(1, keepdims=True)).astype(np.float32)


@jax.jit
def _read(segmenter: UPerNetSegmenter, images: jax.Array) -> jax.Array:
    return read_labels(segmenter, segmenter.scores(images))


def read_labels(segmenter: UPerNetSegmenter, scores: dict[str, jax.Array]) -> jax.Array:
    """Objects, materials and parts, int32 `[n, 3, h, w]`, from the scores of the heads."""
    objects = scores["object"].argmax(-1).astype(jnp.int32)
    material = scores["material"].argmax(-1).astype(jnp.int32)
    material = jnp.where(material > 0, material + segmenter.material_offset, 0)
    part = jnp.zeros_like(objects)
    for owner, where, numbers in segmenter.groups:
        best = jnp.asarray(numbers)[scores["part"][..., where].argmax(-1)]
        part = jnp.where(objects == owner, best, part)
    return jnp.stack([objects, material, part], 1)


def quarters(objects: np.ndarray, count: int, compat: str | None = None) -> np.ndarray:
    """Halves of every 8-connected region of one object, by its bounding box: int32 `[n, 2, h, w]` of `[n, h, w]`.

    The first channel says top or bottom, the second left or right; label c becomes c + count (top), + 2 count (left),
    + 3 count (bottom), + 4 count (right).
    """
    halves = np.zeros((len(objects), 2, *objects.shape[1:]), np.int32)
    for image, out in zip(objects, halves, strict=True):
        regions = _regions(image)
        for where, region, label in regions[:-1] if compat == "gandissect" else regions:
            height, width = region.shape
            rows, columns = np.arange(height)[:, None], np.arange(width)[None]
            vertical = np.where(rows < _middle(where[0]), label + count, label + 3 * count)
            across = np.where(columns < _middle(where[1]), label + 2 * count, label + 4 * count)
            for channel, side in zip(out, (vertical, across), strict=True):
                channel[where] = np.where(region, side, channel[where])
    return halves


def _middle(extent: slice) -> int:
    """Where the second half begins, counted from the start of the box."""
    return (extent.start + extent.stop) // 2 - extent.start


def _regions(image: np.ndarray) -> list[tuple[Any, np.ndarray, int]]:
    """Bounding box, mask within it and label of every region, in the order of their first pixels."""
    found = []
    for label in np.unique(image[image > 0]):
        numbers, _ = ndimage.label(image == label, np.ones((3, 3)))
        for i, where in enumerate(ndimage.find_objects(numbers), 1):
            first = int(np.flatnonzero(numbers == i)[0])
            found.append((first, where, numbers[where] == i, int(label)))
    return [region[1:] for region in sorted(found, key=lambda region: region[0])]
