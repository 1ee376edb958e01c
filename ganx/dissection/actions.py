"""What a user does to a class or to artefacts, as pictures with numbers: removed, drawn, repaired."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from ganx.dissection.artifacts import Repair, artifact_scores, features_of, repair, sequential
from ganx.dissection.effects import effects
from ganx.dissection.interventions import ablate, insert, unit_mask
from ganx.dissection.judge import Judge
from ganx.dissection.result import Dissection
from ganx.dissection.samples import Samples
from ganx.lens import ImageGrid, Section, Table
from ganx.pictures import to_uint8

_SHOWN = 8
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Action:
    """What was done.

    Attributes:
      title: a heading.
      section: before and after, with what it did.
      images: uint8 `[2, n, H, W, C]`, before and after.
    """

    title: str
    section: Section
    images: np.ndarray


def removed(samples: Samples, found: Dissection, label: str, units: np.ndarray, say: Say) -> Action:
    """A class without its units, everywhere."""
    number = found.label(label)
    effect = effects(samples, unit_mask(units, found.units)[None])
    gone, hurt = float(effect.removed(number)[0]), float(effect.damage(number)[0])
    say(f"{found.stage}: without {_counted(units)} {gone:.0%} of {label} is gone, {hurt:.0%} of the rest changed")
    z, classes = _few(samples)
    after = ablate(samples.gan, found.stage, z, units, label=classes)
    lead = (
        f"{found.stage} without {_counted(units)}, everywhere. Over {samples.n} images {gone:.0%} of the "
        f"pixels of {label} are gone, and {hurt:.0%} of all other pixels changed their class."
    )
    numbers = {"units": units.tolist(), "removed": gone, "damage": hurt, "images": samples.n}
    return _action(f"{found.stage} without {label}", lead, samples, z, classes, after, f"without {label}", numbers)


def drawn(
    samples: Samples, found: Dissection, label: str, units: np.ndarray, say: Say, mask: np.ndarray | None = None
) -> Action:
    """A class drawn by its units, where a mask `[H, W]` says or everywhere."""
    z, classes = _few(samples)
    after = insert(samples.gan, found.stage, z, units, found.peaks, mask, classes)
    where = "everywhere" if mask is None else "where the mask is white"
    say(f"{found.stage}: {label} drawn by {_counted(units)} {where}")
    lead = f"{found.stage} with {_counted(units)} at the 99.5% quantile of their values, {where}."
    numbers = {"units": units.tolist()}
    return _action(f"{found.stage} with {label}", lead, samples, z, classes, after, f"with {label}", numbers)


def _counted(units: np.ndarray) -> str:
    return f"{len(units)} unit{'s' if len(units) != 1 else ''}"


def repaired(samples: Samples, found: Dissection, critic: Judge, tried: int, key: jax.Array, say: Say) -> Action:
    """Without the units that draw artefacts: suspects by their own images, removed where that helps (§8).

    Suspects are chosen on some latents and the repair is judged on others, drawn from `key`.
    """
    gan, stage, n = samples.gan, samples.stage, samples.n
    choosing, judging = jax.random.split(key)
    x, peaks = features_of(gan, stage, critic.features, choosing, n)
    scores = artifact_scores(x, peaks, critic.real, max(2, n // 10))
    suspects = scores.worst(min(tried, found.units))
    units = sequential(gan, stage, suspects, critic.features, critic.real, choosing, n, progress=say)
    result = repair(gan, stage, units, critic.features, critic.real, judging, n)
    z, classes = _most_excited(samples, units) if len(units) else _few(samples)
    after = ablate(gan, stage, z, units, label=classes)
    lead = _verdict(result, critic.name, stage, len(suspects))
    say(lead)
    numbers = {
        "distance": critic.name, "units": units.tolist(), "suspects": suspects.tolist(), "images": n,
        "before": result.before, "after": result.after, "random": result.random,
    }  # fmt: skip
    rows = [("untouched", result.before), (f"without {len(units)} artefact units", result.after)]
    rows += [("without as many others, by chance", result.random)] if len(units) else []
    caption = f"Distance to real images, {n} images, on latents that the units were not chosen by."
    table = Table(("images", critic.name), tuple(rows), caption)
    return _action(f"{stage} repaired", lead, samples, z, classes, after, "repaired", numbers, (table,))


def _verdict(result: Repair, name: str, stage: str, suspects: int) -> str:
    if not len(result.units):
        return f"{stage}: no artefact units: removing any of {suspects} does not help; {name} {result.before:.4g}."
    units = ", ".join(map(str, result.units.tolist()))
    return (
        f"{stage}: {name} goes from {result.before:.4g} to {result.after:.4g} without the units {units}, "
        f"and to {result.random:.4g} without as many others."
    )


def _few(samples: Samples) -> tuple[jax.Array, Any]:
    return samples.latents(np.arange(min(_SHOWN, samples.n)))


def _most_excited(samples: Samples, units: np.ndarray) -> tuple[jax.Array, Any]:
    """Latents whose images show the units most."""
    peaks = np.concatenate([np.asarray(batch.features)[..., units].max((1, 2, 3)) for batch in samples])
    return samples.latents(np.argsort(-peaks, kind="stable")[:_SHOWN])


def _action(
    title: str,
    lead: str,
    samples: Samples,
    z: jax.Array,
    classes: Any,
    after: jax.Array,
    name: str,
    numbers: Mapping[str, Any],
    more: tuple[Table, ...] = (),
) -> Action:
    images = to_uint8(np.stack([np.asarray(samples.gan(z, label=classes)), np.asarray(after)]))
    grid = ImageGrid(images, f"The same latents, untouched and {name}.", rows=("untouched", name))
    return Action(title, Section(lead, (grid, *more), numbers), images)
