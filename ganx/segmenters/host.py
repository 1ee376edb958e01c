"""Any function as a segmenter: PyTorch, ONNX Runtime, transformers, a web service.

With transformers, SegFormer (150 classes of ADE20K, none of them a background, hence the + 1):

    processor = SegformerImageProcessor.from_pretrained(NAME)
    network = SegformerForSemanticSegmentation.from_pretrained(NAME).eval()

    def segment(images):  # numpy [n, H, W, 3] in [-1, 1]
        inputs = processor(list(((images + 1) * 127.5).astype("uint8")), return_tensors="pt")
        with torch.no_grad():
            logits = network(**inputs).logits
        return logits.argmax(1).numpy() + 1

    names = ("none", *network.config.id2label.values())
    dissect(gan, "8x8", HostSegmenter(segment, names), ...)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError
from ganx.segment import checked

Function = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class HostSegmenter:
    """A numpy function that runs between two programs.

    Attributes:
      function: float32 images `[n, H, W, C]`, clipped to [-1, 1], to labels `[n, h, w]` or `[n, K, h, w]`.
      names: name of every label, `names[0]` "none".
      categories: category of every label; "object" for all where empty.
    """

    function: Function
    names: tuple[str, ...]
    categories: tuple[str, ...] = ()
    on_device: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", self.categories or ("object",) * len(self.names))
        if len(self.categories) != len(self.names):
            raise GanxError(f"{len(self.categories)} categories for {len(self.names)} names; give one for each name")

    def __call__(self, images: Any) -> Any:
        """int32 `[n, K, h, w]`, checked."""
        pixels = np.clip(np.asarray(images, np.float32), -1, 1)
        return checked(self.function(pixels), self, len(pixels))


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class CallbackSegmenter:
    """A host function that must sit inside a program: `jax.pure_callback`, with a gradient if one is given.

    It may be called any number of times. Prefer `HostSegmenter` wherever a program may end at the images.

    Attributes:
      host: the labels.
      size: height and width of the labels.
      score: `(images, label) -> float32 [n, h, w]`, for `probability`.
      score_vjp: `(images, label, cotangent [n, h, w]) -> gradient` of the shape of the images.
    """

    host: HostSegmenter
    size: tuple[int, int]
    score: Callable[[np.ndarray, int], np.ndarray] | None = None
    score_vjp: Callable[[np.ndarray, int, np.ndarray], np.ndarray] | None = None
    on_device: ClassVar[bool] = True

    @property
    def names(self) -> tuple[str, ...]:
        return self.host.names

    @property
    def categories(self) -> tuple[str, ...]:
        return self.host.categories

    def __call__(self, images: jax.Array) -> jax.Array:
        """int32 `[n, h, w]`; the host function gives one label a pixel."""
        shape = jax.ShapeDtypeStruct((len(images), *self.size), jnp.int32)
        return jax.pure_callback(lambda x: self.host(x)[:, 0], shape, images, vmap_method="sequential")

    def probability(self, images: jax.Array, label: int) -> jax.Array:
        """float32 `[n, h, w]`; differentiable where `score_vjp` is given."""
        if self.score is None:
            raise GanxError("this CallbackSegmenter has no score; give score= and score_vjp= to optimise through it")
        return _score(self, label, images)


def _run_score(segmenter: CallbackSegmenter, label: int, images: jax.Array) -> jax.Array:
    shape = jax.ShapeDtypeStruct((len(images), *segmenter.size), jnp.float32)

    def run(x: Any) -> np.ndarray:
        assert segmenter.score is not None
        return np.asarray(segmenter.score(np.asarray(x), label), np.float32)

    return jax.pure_callback(run, shape, images, vmap_method="sequential")


def _forward(segmenter: CallbackSegmenter, label: int, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _run_score(segmenter, label, images), images


def _backward(segmenter: CallbackSegmenter, label: int, images: jax.Array, ct: jax.Array) -> tuple[jax.Array]:
    if segmenter.score_vjp is None:
        raise GanxError("this CallbackSegmenter has no gradient; give score_vjp= to optimise through it")
    vjp = segmenter.score_vjp

    def run(x: Any, c: Any) -> np.ndarray:
        return np.asarray(vjp(np.asarray(x), label, np.asarray(c)), np.float32)

    shape = jax.ShapeDtypeStruct(images.shape, jnp.float32)
    return (jax.pure_callback(run, shape, images, ct, vmap_method="sequential"),)


_score = jax.custom_vjp(_run_score, nondiff_argnums=(0, 1))
_score.defvjp(_forward, _backward)
