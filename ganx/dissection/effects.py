"""What edits do to the segmentation: ablation curves, single units, insertions by context (§5, §6.3, §6.4, §7)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx.dissection.interventions import Edit, Units, unit_mask
from ganx.dissection.samples import Samples
from ganx.errors import GanxError
from ganx.gan import Activation, Gan
from ganx.segment import channels, index_of

_TOGETHER = 256  # images that go through the later stages at once


@dataclasses.dataclass(frozen=True)
class Effect:
    """What each of S edits did, summed over all images.

    Attributes:
      before: int64 `[L]`, pixels of each label in the untouched images, whatever the channel.
      after: int64 `[S, L]`, and in the edited ones.
      changed: int64 `[S, L]`, pixels that carried a label and whose first channel carries another one now.
      moved: int64 `[S]`, all pixels whose first channel carries another label now.
      pixels: how many there are in all.
    """

    before: np.ndarray
    after: np.ndarray
    changed: np.ndarray
    moved: np.ndarray
    pixels: int

    def removed(self, label: int) -> np.ndarray:
        """Share of a label's pixels that are gone, `[S]`; negative where there are more (§5)."""
        return 1 - self.after[:, label] / max(int(self.before[label]), 1)

    def damage(self, label: int) -> np.ndarray:
        """Share of all other pixels whose first channel changed its label, `[S]`."""
        others = self.pixels - int(self.before[label])
        return (self.moved - self.changed[:, label]) / max(others, 1)


def effects(samples: Samples, alphas: Any, value: Any = 0.0) -> Effect:
    """Edits of whole feature maps.

    Args:
      alphas: `[S, U]`, or `[S, h, w, U]` for edits at places.
      value: `[U]` or one number, put in; 0 ablates.
    """
    alphas = np.asarray(alphas, np.float32)
    if alphas.ndim == 2:
        alphas = alphas[:, None, None]
    count = len(samples.segmenter.names)
    before = np.zeros(count, np.int64)
    after, changed = np.zeros((2, len(alphas), count), np.int64)
    moved, pixels = np.zeros(len(alphas), np.int64), 0
    for batch in samples:
        act = cut(samples, batch.index)
        old = batch.labels
        before += histogram(old, count).sum(0)
        pixels += old[:, 0].size
        for sets, labels in swept(samples, act, alphas, value):
            flat = labels.reshape(len(sets) * len(old), *labels.shape[2:])
            after[sets] += histogram(flat, count).reshape(len(sets), len(old), count).sum(1)
            differs = labels[:, :, 0] != old[None, :, 0]
            moved[sets] += differs.sum((1, 2, 3))
            for row, mask in zip(sets, differs, strict=True):
                changed[row] += histogram(np.moveaxis(old, 1, 0)[:, mask][None, :, None], count)[0]
    return Effect(before, after, changed, moved, pixels)


def histogram(labels: np.ndarray, count: int) -> np.ndarray:
    """How many pixels carry each label in any channel: int64 `[n, L]` of labels `[n, K, H, W]`."""
    n, k = labels.shape[:2]
    flat = np.sort(labels.reshape(n, k, -1), 1) if k > 1 else labels.reshape(n, k, -1)
    fresh = np.ones(flat.shape, bool)
    fresh[:, 1:] = flat[:, 1:] != flat[:, :-1]  # a pixel that carries a label twice counts once
    offset = flat + np.arange(n)[:, None, None] * count
    return np.bincount(offset[fresh], minlength=n * count).reshape(n, count)


def cut(samples: Samples, index: np.ndarray) -> Activation:
    """The samples `index` at the stage."""
    z, label = samples.latents(index)
    return _until(samples.gan, samples.stage, z, label)


def swept(samples: Samples, act: Activation, alphas: np.ndarray, value: Any) -> Any:
    """Yields `(which edits, labels [edits, n, K, H, W])`: many edits of one batch through one program.

    Only the later stages run. Edits and images share the batch axis.
    """
    n = len(act.features)
    chunk = max(1, _TOGETHER // n)
    padded = np.concatenate([alphas, np.zeros((-len(alphas) % chunk, *alphas.shape[1:]), np.float32)])
    for start in range(0, len(alphas), chunk):
        sets = np.arange(start, min(start + chunk, len(alphas)))
        labels = segmented(samples, act, padded[start : start + chunk], value)
        yield sets, labels[: len(sets)]


def segmented(samples: Samples, act: Activation, alphas: np.ndarray, value: Any) -> np.ndarray:
    """Labels `[S, n, K, H, W]` after each of the edits `[S, h, w, U]`."""
    value = jnp.asarray(value, jnp.float32)
    if samples.segmenter.on_device:
        labels = _edited_labels(samples.gan, samples.stage, samples.segmenter, act, alphas, value)
    else:
        images = _edited_images(samples.gan, samples.stage, act, alphas, value)
        labels = channels(samples.segmenter(images))
    labels = np.asarray(labels)
    return labels.reshape(len(alphas), -1, *labels.shape[1:])


def _edited(gan: Gan, stage: str, act: Activation, alphas: jax.Array, value: jax.Array) -> jax.Array:
    """Images `[S n, H, W, C]`."""
    features = Edit(jnp.asarray(alphas)[:, None], value)(act.features[None])
    many = jax.tree.map(lambda leaf: jnp.tile(leaf, (len(alphas),) + (1,) * (leaf.ndim - 1)), act)
    return gan.since(stage, many.with_features(features.reshape(many.features.shape)))


_edited_images = functools.partial(jax.jit, static_argnames="stage")(_edited)


@functools.partial(jax.jit, static_argnames="stage")
def _edited_labels(gan: Gan, stage: str, segmenter: Any, act: Activation, alphas: Any, value: Any) -> jax.Array:
    return channels(segmenter(_edited(gan, stage, act, alphas, value)))


@functools.partial(jax.jit, static_argnames="stage")
def _until(gan: Gan, stage: str, z: jax.Array, label: jax.Array | None) -> Activation:
    return gan.until(stage, z, label=label)


def ablation_curve(samples: Samples, order: Units, counts: Sequence[int] = tuple(range(31))) -> Effect:
    """Ablates the first 0, 1, 2, … units of an order over whole images; edit i ablates `counts[i]` of them (§6.3)."""
    units = samples.gan.shapes[samples.stage][-1]
    return effects(samples, np.stack([unit_mask(np.asarray(order)[:count], units) for count in counts]))


def single_units(samples: Samples) -> Effect:
    """Ablates every unit alone (§6.4): edit u is without unit u."""
    return effects(samples, np.eye(samples.gan.shapes[samples.stage][-1], dtype=np.float32))


@dataclasses.dataclass(frozen=True)
class Contexts:
    """Insertion at single cells, by what was there before.

    Attributes:
      names: of the contexts, those seen often enough, largest effect first.
      mean, deviation: change of the class's pixels in the whole image, over cells of that context.
      seen: how many cells.
      gain: float32 `[n, h w]`, the change for every image and cell.
      usual: pixels of the class in an untouched image, on average; what to divide by.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    deviation: np.ndarray
    seen: np.ndarray
    gain: np.ndarray
    usual: float


def context_effects(samples: Samples, label: str | int, units: Units, value: Any, least: int = 1000) -> Contexts:
    """Inserts units at every single cell of every image and counts what appears (§7).

    Args:
      label: the class to be counted.
      value: `[U]` or one number, such as `Dissection.peaks`.
      least: cells that a context must have to be reported.
    """
    number = index_of(samples.segmenter, label)
    h, w, count = samples.gan.shapes[samples.stage]
    cells = np.eye(h * w, dtype=np.float32).reshape(h * w, h, w, 1) * unit_mask(units, count)
    gains, found, usual = [], [], []
    for batch in samples:
        act, old = cut(samples, batch.index), _area(batch.labels, number)
        parts = [_area(labels, number) for _, labels in swept(samples, act, cells, value)]
        gains.append((np.concatenate(parts) - old).T)
        rows, columns = (_centres(size, n) for size, n in zip(batch.labels.shape[2:], (h, w), strict=True))
        found.append(batch.labels[:, :, rows[:, None], columns].reshape(len(old), -1, h * w))
        usual.append(old)
    gain, context = np.concatenate(gains), np.concatenate(found)
    return _by_context(samples.segmenter.names, gain, context, least, float(np.concatenate(usual).mean()))


def _area(labels: np.ndarray, number: int) -> np.ndarray:
    return (labels == number).any(-3).sum((-2, -1))


def _centres(pixels: int, cells: int) -> np.ndarray:
    return ((np.arange(cells) + 0.5) * pixels / cells).astype(np.int64)


def _by_context(names: Sequence[str], gain: np.ndarray, context: np.ndarray, least: int, usual: float) -> Contexts:
    kept = []
    for label in np.unique(context[context > 0]):
        there = gain[(context == label).any(1)]
        if len(there) >= least:
            kept.append((names[label], there.mean(), there.std(), len(there)))
    if not kept:
        raise GanxError(f"no context was seen {least} times; look at more images or lower least=")
    kept.sort(key=lambda row: -row[1])
    labels, mean, deviation, seen = zip(*kept, strict=True)
    return Contexts(labels, np.array(mean), np.array(deviation), np.array(seen), gain, usual)
