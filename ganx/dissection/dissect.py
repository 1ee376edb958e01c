"""`dissect`: which unit draws what (§2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from ganx.dissection import curves, quantiles, top
from ganx.dissection.result import Dissection
from ganx.dissection.samples import Batch, Known, Samples
from ganx.dissection.scores import Counts
from ganx.dissection.tally import empty, tally
from ganx.dissection.upsample import upsample
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.segment import Segmenter, note

COMPAT = {None: "border", "gandissect": "border", "dissect2020": "zeros"}
"""Whose conventions: the paper's (None) or those of a code, with the padding beyond a map's edge."""
PEAK = 0.995
_VALIDATION = 1  # folded into the key for the samples that thresholds are chosen on


def dissect(
    gan: Gan,
    stage: str,
    segmenter: Segmenter,
    n: int = 1000,
    threshold: str | float = "iqr",
    *,
    key: jax.Array | None = None,
    quantile_domain: str = "upsampled",
    compat: str | None = None,
    topk: int = 20,
    batch: int = 32,
    z: Any = None,
    label: Any = None,
    devices: Any = None,
    mix: Any = None,
    known: Known | None = None,
    progress: Callable[[str], None] | None = None,
) -> Dissection:
    """Matches every unit of a stage with the labels of a segmenter.

    Args:
      gan: any family.
      stage: a stage with feature maps.
      segmenter: see `ganx.segment`.
      n: images to count over. With "iqr" as many others serve to choose the thresholds.
      threshold: "iqr" (eq. 2: for every unit and label the threshold of the largest information quality ratio, over 100
        candidates), or the share of its values above which a unit is active, such as 0.01.
      key: key of the latents.
      quantile_domain: whether that share is taken of the "raw" map or of the "upsampled" one.
      compat: None for the paper's definitions; "gandissect" for those of its code (one threshold a unit, chosen by its
        label), "dissect2020" for the code of 2020 (zeros beyond the edge, no restriction to categories).
      topk: how many top images to keep.
      batch: images that go through together; results do not depend on it.
      z, label: latents to count over instead of drawn ones, float `[n, *latent]`, and their classes.
      devices: over which each batch is split.
      mix: `[k, U]`, makes of the units' maps those of k groups, which are dissected in their place.
      known: labels that other layers found, with the same GAN and segmenter; they are not segmented again.
      progress: called with a line now and then.

    Returns:
      A `Dissection`. Thresholds from a share are exact (Hazen); candidates of "iqr" are right to 2^-15 of themselves,
      and `facts["rank_error"]` says how far their ranks may be off at worst.
    """
    _check(threshold, quantile_domain, compat)
    key = jax.random.key(0) if key is None else key
    say = progress or (lambda line: None)

    def samples(own: jax.Array, given: Any) -> Samples:
        return Samples(gan, stage, segmenter, own, n, batch, given, label, devices=devices, mix=mix, known=known)

    main = samples(key, z)
    category, kinds = category_numbers(segmenter, compat)
    padding = COMPAT[compat]
    say(f"{stage}: looking at {n} images")
    facts = {
        "images": n, "threshold": threshold, "quantile_domain": quantile_domain, "compat": compat or "paper",
        "kinds": list(kinds), "segmenter": type(segmenter).__name__, "note": note(segmenter),
    }  # fmt: skip
    if threshold == "iqr":
        other = samples(jax.random.fold_in(key, _VALIDATION), None) if z is None else main
        say(f"{stage}: choosing thresholds")
        found = _by_quality(main, other, category, padding, compat)
        thresholds, counts, labels, facts["rank_error"] = found
    else:
        level = quantiles.quantile(lambda: values(main, padding, quantile_domain), 1 - float(threshold))
        thresholds = np.broadcast_to(level.astype(np.float32), (len(category), len(level)))
        counts = _count(main, thresholds[0], category, padding)
        labels = counts.iou().argmax(0)
        facts["rank_error"] = 0.0
    say(f"{stage}: comparing with chance")
    null = _null(main, thresholds, category, padding)
    best = _top(main, topk)
    peaks = quantiles.quantile(lambda: values(main, padding, "raw"), PEAK).astype(np.float32)
    names, categories = tuple(segmenter.names), tuple(segmenter.categories)
    return Dissection(
        stage, names, categories, np.array(thresholds), counts, labels, best.values, best.index, null, peaks, facts
    )


def category_numbers(segmenter: Segmenter, compat: str | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Number of each label's category, int `[L]`, and the categories' names; all one in the code of 2020."""
    if compat == "dissect2020":
        return np.zeros(len(segmenter.names), np.int64), ("all",)
    kinds = tuple(dict.fromkeys(segmenter.categories))
    return np.array([kinds.index(kind) for kind in segmenter.categories]), kinds


def values(samples: Iterable[Batch], padding: str, domain: str) -> Iterator[np.ndarray]:
    """Activations of every unit, in blocks `[U, …]`."""
    for batch in samples:
        if domain == "raw":
            yield np.moveaxis(np.asarray(batch.features), -1, 0)
            continue
        for maps in batch.features:
            yield np.asarray(upsample(maps, batch.labels.shape[2:], padding))


def _check(threshold: str | float, domain: str, compat: str | None) -> None:
    if domain not in ("raw", "upsampled"):
        raise unknown("quantile domain", domain, ("raw", "upsampled"))
    if compat not in COMPAT:
        raise unknown("convention", str(compat), [name for name in COMPAT if name])
    if threshold != "iqr" and not (isinstance(threshold, float | int) and 0 < threshold < 1):
        raise GanxError(f"threshold is 'iqr' or a share between 0 and 1, such as 0.01, not {threshold!r}")


def _count(samples: Samples, thresholds: np.ndarray, category: np.ndarray, padding: str) -> Counts:
    total = empty(category, len(thresholds))
    for batch in samples:
        total += tally(batch.features, batch.labels, thresholds, category, padding=padding)
    return total


def _by_quality(
    main: Samples, other: Samples, category: np.ndarray, padding: str, compat: str | None
) -> tuple[np.ndarray, Counts, np.ndarray, float]:
    """Thresholds `[L, U]`, counts at them, labels `[U]` and the largest rank error of the candidates."""
    levels, error = quantiles.streamed(lambda: values(other, padding, "upsampled"), 1 - curves.FRACTIONS)
    levels = levels.astype(np.float32)
    validation = _curves(other, levels, category, padding)
    choice = curves.choose(validation.counts(), levels, validation.pixels, compat)
    units = np.arange(len(levels))
    if compat == "gandissect":
        level = levels[units, choice.step[choice.label, units]]
        counts = _count(main, level, category, padding)
        return np.broadcast_to(level, choice.step.shape), counts, choice.label, float(error.max())
    counts = curves.at(
        (validation if main is other else _curves(main, levels, category, padding)).counts(), choice.step
    )
    return levels[units, choice.step], counts, choice.label, float(error.max())


def _curves(samples: Samples, levels: np.ndarray, category: np.ndarray, padding: str) -> curves.Curves:
    found = curves.Curves(levels, category)
    for batch in samples:
        found.add(batch.features, batch.labels, padding)
    return found


def _null(samples: Samples, thresholds: np.ndarray, category: np.ndarray, padding: str) -> np.ndarray:
    """IoU `[L, U]` of every image's masks with the labels of the image before it."""
    single = bool((thresholds == thresholds[0]).all())
    moved = _moved_on(samples)
    if single:
        counts = empty(category, thresholds.shape[1])
        for batch in moved:
            counts += tally(batch.features, batch.labels, thresholds[0], category, padding=padding)
        return counts.iou()
    levels, step = _distinct(thresholds)
    found = curves.Curves(levels, category)
    for batch in moved:
        found.add(batch.features, batch.labels, padding)
    return curves.at(found.counts(), step).iou()


def _distinct(thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different thresholds of each unit, `[U, T]` filled up by repetition, and which one a pair has, `[L, U]`."""
    columns = [np.unique(column, return_inverse=True) for column in thresholds.T]
    steps = max(len(column) for column, _ in columns)
    levels = np.stack([np.pad(column, (0, steps - len(column)), "edge") for column, _ in columns])
    return levels, np.stack([inverse for _, inverse in columns], 1)


def _moved_on(samples: Iterable[Batch]) -> Iterator[Batch]:
    """Every sample but the first, with the labels of the one before."""
    last: np.ndarray | None = None
    for batch in samples:
        labels = batch.labels[:-1] if last is None else np.concatenate([last, batch.labels[:-1]])
        features = batch.features[1:] if last is None else batch.features
        last = batch.labels[-1:]
        if len(labels):
            yield batch._replace(features=features, labels=labels)


def _top(samples: Samples, k: int) -> top.Top:
    best: top.Top | None = None
    for batch in samples:
        peaks = np.asarray(batch.features).max((1, 2))
        best = top.merge(best or top.none_yet(peaks.shape[1]), peaks, batch.index, k)
    assert best is not None
    return best
