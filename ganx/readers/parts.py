"""Classes of pixels read by a small U-Net, trained on a world: for pictures that are too blurred for its colours."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ganx.data.feed import to_float
from ganx.data.worlds import PictureWorld, world
from ganx.errors import GanxError
from ganx.models.initialise import initialise
from ganx.models.unet import UNet
from ganx.readers import keep
from ganx.readers.fit import RECIPE, fit, worn
from ganx.readers.worn import blur
from ganx.segment import NONE

STEPS, BATCH = 2500, 16
TRUTH = 512
"""Test pictures that accuracies are measured on."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PartSegmenter:
    """A `SoftSegmenter` that was trained on pictures whose masks are known. Label i is class i - 1.

    Attributes:
      module, variables: the network.
      classes: names of the classes.
      origin: what it was trained on, such as "faces".
      shape: of the pictures that it takes; None for any whose sides the network can halve.
      accuracy: by kind of test pictures the mean intersection over union of classes "mIoU", the share of right
        "pixels", and for masks that people drew the "iou" of each class. Of a world: with "hard edges", with "soft
        edges", and hard ones under "blur 0.6" (standard deviation in pixels).
    """

    module: UNet = dataclasses.field(metadata={"static": True})
    variables: Any
    classes: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    origin: str = dataclasses.field(metadata={"static": True})
    shape: tuple[int, ...] | None = dataclasses.field(metadata={"static": True})
    accuracy: Any = dataclasses.field(metadata={"static": True}, hash=False, compare=False)
    on_device: ClassVar[bool] = True

    @property
    def note(self) -> str:
        """How good it is, for people."""
        iou = ", ".join(f"{value['mIoU']:.3f} ({kind})" for kind, value in self.accuracy.items())
        told = f"the segmenter's own mIoU on test pictures of {self.origin}: {iou}"
        each = [pair for value in self.accuracy.values() for pair in value.get("iou", {}).items()]
        return "; ".join([told, *([", ".join(f"{name} {value:.2f}" for name, value in each)] if each else [])])

    @property
    def names(self) -> tuple[str, ...]:
        return (NONE, *self.classes)

    @property
    def categories(self) -> tuple[str, ...]:
        return ("object",) * len(self.names)

    def __call__(self, images: jax.Array) -> jax.Array:
        """int32 `[n, H, W]` of images `[n, H, W, C]`, float in [-1, 1] or uint8; never 0."""
        return self._logits(images).argmax(-1).astype(jnp.int32) + 1

    def probability(self, images: jax.Array, label: int) -> jax.Array:
        """Of one label at every pixel, float32 `[n, H, W]`, differentiable in the images."""
        return jax.nn.softmax(self._logits(images))[..., label - 1]

    def _logits(self, images: jax.Array) -> jax.Array:
        if self.shape is not None and images.shape[1:] != self.shape:
            wanted = "x".join(map(str, self.shape))
            raise GanxError(
                f"this segmenter takes pictures of {wanted}, not {list(images.shape[1:])}; name it with ?size="
            )
        channels = self.variables["params"]["down0a_kernel"].shape[2]
        if images.shape[-1] != channels:
            raise GanxError(f"this segmenter takes pictures of {channels} channels, not of {images.shape[-1]}")
        if any(side % self.module.multiple for side in images.shape[1:3]):
            sides = "x".join(map(str, images.shape[1:3]))
            raise GanxError(f"this segmenter takes sides that are multiples of {self.module.multiple}, not {sides}")
        if not jnp.issubdtype(images.dtype, jnp.floating):
            images = images.astype(jnp.float32) / 127.5 - 1
        return self.module.apply(self.variables, images)  # type: ignore[return-value]


def part_segmenter(name: str = "faces", size: int = 64, seed: int = 0, *, steps: int = STEPS) -> PartSegmenter:
    """The segmenter of a world's classes; trained if it is not at hand.

    Args:
      name: "faces", "scenes" or "digits".
      size: side of the pictures that it will read, a multiple of 4.
      seed: two segmenters of different seeds saw different pictures.
      steps: of `BATCH` pictures.
    """
    pictures = world(name, size=size, seed=1000 + seed)
    if not isinstance(pictures, PictureWorld) or size % 4:
        raise GanxError(
            f"no segmenter of world:{name} at {size} pixels; use faces, scenes or digits and a multiple of 4"
        )
    module, facts = UNet(len(pictures.CLASSES)), (pictures.CLASSES, pictures.name, pictures.shape)
    config = {
        "kind": "parts", "world": name, "size": size, "seed": seed, "steps": steps, "batch": BATCH,
        "classes": pictures.CLASSES, "widths": module.widths, **RECIPE,
    }  # fmt: skip

    def objective(variables: Any, images: jax.Array, example: Any, _: Any) -> jax.Array:
        logits = module.apply(variables, images)
        # by one-hot labels: the gradient of a gather is a scatter, slow to compile and to run
        return optax.softmax_cross_entropy(logits, jax.nn.one_hot(example.mask, module.classes)).mean()

    def train() -> tuple[Any, Any]:
        variables = initialise(module.init, jax.random.key(seed), jnp.zeros((1, *pictures.shape)))
        variables = keep.rounded(fit(worn(pictures, BATCH, seed), variables, objective, steps))
        return variables, measure(PartSegmenter(module, variables, *facts, {}), pictures)

    variables, accuracy = keep.find_or_train(config, train)
    return PartSegmenter(module, variables, *facts, accuracy)


def measure(segmenter: PartSegmenter, pictures: PictureWorld, batch: int = 64) -> dict[str, dict[str, float]]:
    """What `PartSegmenter.accuracy` holds, measured."""
    return {
        kind: scores(table)
        for kind, table in (
            ("hard edges", _confusion(segmenter, pictures, "hard", 0.0, batch)),
            ("soft edges", _confusion(segmenter, pictures, "soft", 0.0, batch)),
            ("blur 0.6", _confusion(segmenter, pictures, "hard", 0.6, batch)),
        )
    }


def _confusion(
    segmenter: PartSegmenter, pictures: PictureWorld, edges: str, deviation: float, batch: int
) -> np.ndarray:
    """How many pixels of each class (row) of `TRUTH` test pictures are read as each (column)."""
    pictures = dataclasses.replace(pictures, split="test", edges=edges)
    table = np.zeros((len(pictures.CLASSES),) * 2)
    read = jax.jit(lambda s, images: s(blur(to_float(images), jnp.full(batch, deviation))))
    for start in range(0, TRUTH, batch):
        example = pictures.render(start + jnp.arange(batch))
        np.add.at(table, (np.asarray(example.mask), np.asarray(read(segmenter, example.image)) - 1), 1)
    return table


def scores(table: np.ndarray) -> dict[str, float]:
    """Of pixels of each class (row) that are read as each (column); a class that never occurs does not count."""
    both = np.diag(table)
    union = table.sum(0) + table.sum(1) - both
    iou = both[union > 0] / union[union > 0]
    return {"mIoU": round(float(iou.mean()), 4), "pixels": round(float(both.sum() / table.sum()), 5)}
