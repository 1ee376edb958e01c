"""A segmenter of real pictures: the same U-Net, trained on a source whose masks people drew."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ganx.data import Example, Source, open_source
from ganx.data.feed import to_float
from ganx.data.options import parse
from ganx.data.prepare import with_options
from ganx.errors import GanxError
from ganx.models.initialise import initialise
from ganx.models.unet import UNet
from ganx.readers import keep
from ganx.readers.fit import LEARNING_RATE, Draw, fit
from ganx.readers.parts import PartSegmenter, scores

STEPS, BATCH = 1500, 8
WIDTHS = (16, 32, 64, 96)
LEAST = 0.6
"""Smallest share of a side that a training picture shows."""
UNKNOWN = ("none", "void", "unknown", "unlabelled", "unlabeled", "-")
"""Names of classes that say that nothing is known of a pixel."""
_OPEN = 255
_PROBES = 32


def masked_segmenter(text: str, *, steps: int | None = None) -> PartSegmenter:
    """The segmenter of a source's masks; trained if it is not at hand, on one split and measured on another.

    Args:
      text: the source, such as "zip:camvid.zip?size=64x48", with options of its own: `names=sky,road,void` for masks
        without names (void, none, unknown: such pixels are not learned), `test=SPLIT` for the split that it is measured
        on (val or test by default), `seed=1` for another.
      steps: of `BATCH` pictures, each a window of a picture, mirrored or not.

    Raises:
      GanxError: no such source, no masks, names that do not fit, or no split to measure on.
    """
    train, test, names, seed = _opened(text)
    steps = steps or STEPS
    classes = tuple(name for name in names if name not in UNKNOWN)
    if len(classes) < 2:
        raise GanxError(f"a segmenter tells two classes apart at least; {train.spec.name} names {', '.join(names)}")
    module, shape = UNet(len(classes), WIDTHS), train.spec.shape
    if any(side % module.multiple for side in shape[:2]):
        raise GanxError(f"pictures are {shape[1]}x{shape[0]}; give sides that are multiples of 8, such as size=64x48")
    config = {
        "kind": "masks", "world": _slug(train.spec.name), "size": f"{shape[1]}x{shape[0]}", "seed": seed,
        "steps": steps, "batch": BATCH, "classes": names, "widths": WIDTHS, "learning_rate": LEARNING_RATE,
        "least": LEAST, "sources": [_digest(train), _digest(test)],
    }  # fmt: skip
    numbers = _numbers(names)
    facts = (classes, train.spec.name.partition("?")[0], None)

    def objective(variables: Any, images: jax.Array, masks: jax.Array) -> jax.Array:
        logits = module.apply(variables, images)
        # a class of 255 has no one in its one-hot label, and so no loss
        return optax.softmax_cross_entropy(logits, jax.nn.one_hot(masks, module.classes)).mean()

    def learn() -> tuple[Any, Any]:
        variables = initialise(module.init, jax.random.key(seed), jnp.zeros((1, *shape)))
        variables = keep.rounded(fit(windows(train, numbers, BATCH, seed), variables, objective, steps))
        return variables, measure(PartSegmenter(module, variables, *facts, {}), test, numbers)

    variables, accuracy = keep.find_or_train(config, learn)
    return PartSegmenter(module, variables, *facts, accuracy)


def measure(segmenter: PartSegmenter, test: Source, numbers: np.ndarray, batch: int = 32) -> dict[str, Any]:
    """What `PartSegmenter.accuracy` holds, measured on all pictures of a source.

    Args:
      numbers: uint8 `[256]`, from a mask's values to classes, 255 for unknown.
    """
    count = len(segmenter.classes)
    table = np.zeros((count, count))
    read = jax.jit(lambda s, images: s(images))
    for start in range(0, len(test), batch):
        rows = np.arange(start, start + batch).clip(max=len(test) - 1)
        example = test.gather(rows)
        found = np.asarray(read(segmenter, example.image))[: len(test) - start] - 1
        truth = numbers[np.asarray(example.mask)][: len(found)]
        known = truth != _OPEN
        np.add.at(table, (truth[known], found[known]), 1)
    both, union = np.diag(table), table.sum(0) + table.sum(1) - np.diag(table)
    iou = {name: round(float(b / max(u, 1)), 4) for name, b, u in zip(segmenter.classes, both, union, strict=True)}
    return {f"{len(test)} pictures that it never saw": {**scores(table), "iou": iou}}


def windows(source: Source, numbers: np.ndarray, batch: int, seed: int) -> Draw:
    """Batches of random windows of random pictures, brought to the size of the pictures; half of them mirrored."""

    def drawn(i: int) -> tuple[jax.Array, jax.Array]:
        rng = np.random.default_rng((seed, i))
        example = source.gather(np.sort(rng.integers(len(source), size=batch)))
        return _window(example, numbers, jax.random.fold_in(jax.random.key(seed), i))

    return drawn


@jax.jit
def _window(example: Example, numbers: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    def one(image: jax.Array, mask: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        share, top, left, turn = jax.random.uniform(key, (4,))
        share = LEAST + (1 - LEAST) * share
        at = [
            jnp.clip((begin * (1 - share) + share * (jnp.arange(side) + 0.5) / side) * side - 0.5, 0, side - 1)
            for begin, side in zip((top, left), mask.shape, strict=True)
        ]
        at[1] = jnp.where(turn < 0.5, at[1], at[1][::-1])
        rows, columns = (jnp.maximum(0, 1 - jnp.abs(a[:, None] - jnp.arange(len(a)))) for a in at)
        near = [jnp.round(a).astype(jnp.int32) for a in at]
        return jnp.einsum("ah,hwc,bw->abc", rows, image, columns), mask[near[0][:, None], near[1]]

    images, masks = jax.vmap(one)(to_float(example.image), example.mask, jax.random.split(key, len(example.mask)))
    return images, numbers[masks]


def _opened(text: str) -> tuple[Source, Source, tuple[str, ...], int]:
    """The pictures to learn from, those to be measured on, names of the mask's values, and a seed."""
    options = parse(text).options
    own = {name: options.pop(name, "") for name in ("names", "test", "seed")}
    source = text.partition("?")[0] + ("?" if options else "") + "&".join(f"{k}={v}" for k, v in options.items())
    if not (own["seed"] or "0").isdecimal():
        raise GanxError(f"seed={own['seed']} of {text!r} is no whole number")
    train = open_source(source)
    if not train.spec.masks or len(train.spec.shape) != 3:
        raise GanxError(f"{source} has no masks to learn from; put them beside the pictures, such as train, trainannot")
    names = tuple(own["names"].split(",")) if own["names"] else train.spec.masks
    if len(names) < len(train.spec.masks):
        raise GanxError(
            f"names= gives {len(names)} names, and the masks of {source} have {len(train.spec.masks)} values"
        )
    return train, _test(source, own["test"]), names, int(own["seed"] or 0)


def _test(source: str, split: str) -> Source:
    for name in (split,) if split else ("val", "test"):
        try:
            return open_source(with_options(source, {"split": name}))
        except GanxError:
            if split:
                raise
    raise GanxError(f"{source} has no split val or test to measure the segmenter on; name one with test=SPLIT")


def _numbers(names: tuple[str, ...]) -> np.ndarray:
    """From a mask's values to numbers of classes, uint8 `[256]`; 255 where nothing is known."""
    table = np.full(256, _OPEN, np.uint8)
    known = [i for i, name in enumerate(names) if name not in UNKNOWN]
    table[known] = np.arange(len(known))
    return table


def _slug(name: str) -> str:
    """A source's last name, fit for a file's."""
    place = re.split(r"[:/]", name.partition("?")[0].rstrip("/"))[-1]
    return re.sub(r"[^A-Za-z0-9]+", "-", place).strip("-")[:40]


def _digest(source: Source) -> str:
    """Of some of the pictures and masks: another data set under the same name is another segmenter."""
    some = source.gather(np.unique(np.linspace(0, len(source) - 1, _PROBES).astype(np.int64)))
    told = f"{len(source)} {np.shape(some.image)}".encode()
    return hashlib.sha256(told + np.asarray(some.image).tobytes() + np.asarray(some.mask).tobytes()).hexdigest()
