"""Painting with units: strokes that draw or remove a class at a place (§10)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx.dissection.interventions import Edit, edit, pool
from ganx.dissection.result import Dissection
from ganx.errors import GanxError, unknown
from ganx.gan import Gan

STRENGTHS = {"low": 4, "med": 10, "high": 15}
"""How many units of a class's ranking a stroke moves."""
ACTIONS = ("draw", "remove")


@dataclasses.dataclass(frozen=True)
class Stroke:
    """One stroke.

    Attributes:
      stage: the stage whose features it changes.
      units: which units.
      value: `[U]`, what they become.
      mask: `[H, W]` in [0, 1], where; of any resolution.
      alpha: how much.
      pooling: how the mask comes to the layer's grid, "max" or "mean".
    """

    stage: str
    units: tuple[int, ...]
    value: np.ndarray
    mask: np.ndarray
    alpha: float = 1.0
    pooling: str = "max"

    @classmethod
    def of(
        cls, dissection: Dissection, label: str, mask: Any, action: str = "draw", strength: str = "med", by: str = "iou"
    ) -> Stroke:
        """A stroke by class: drawing sets its best units to their 99.5% quantile, removing to 0."""
        if action not in ACTIONS:
            raise unknown("action", action, ACTIONS)
        if strength not in STRENGTHS:
            raise unknown("strength", strength, STRENGTHS)
        units = dissection.rank(label, by)[: STRENGTHS[strength]]
        value = dissection.peaks if action == "draw" else np.zeros_like(dissection.peaks)
        return cls(dissection.stage, tuple(units.tolist()), value, np.asarray(mask, np.float32))

    def edit(self, gan: Gan) -> Edit:
        """As an edit of its stage."""
        where = pool(self.mask, gan.shapes[self.stage][:2], self.pooling)
        return edit(gan, self.stage, self.units, self.value, where, self.alpha)

    def to_json(self) -> list[dict[str, Any]]:
        """One intervention a unit: unit, layer, alpha, value and mask, as plain values."""
        mask = np.asarray(self.mask).tolist()
        common = {"layer": self.stage, "alpha": self.alpha, "mask": mask, "maskpooling": self.pooling}
        return [{"unit": unit, "value": float(self.value[unit]), **common} for unit in self.units]


def strokes_from_json(gan: Gan, interventions: Sequence[Mapping[str, Any]]) -> list[Stroke]:
    """Strokes from interventions, one each; a missing mask means everywhere."""
    strokes = []
    for row in interventions:
        missing = {"unit", "layer"} - row.keys()
        if missing:
            raise GanxError(f"an intervention lacks {', '.join(sorted(missing))}; give unit, layer, alpha and value")
        gan._position(row["layer"])
        shape = gan.shapes[row["layer"]]
        value = np.full(shape[-1], row.get("value", 0.0), np.float32)
        mask = np.asarray(row.get("mask", np.ones(shape[:2])), np.float32)
        unit = (int(row["unit"]),)
        strokes.append(Stroke(row["layer"], unit, value, mask, row.get("alpha", 1.0), row.get("maskpooling", "max")))
    return strokes


def paint(gan: Gan, z: jax.Array, strokes: Sequence[Stroke], label: Any = None) -> jax.Array:
    """Images `[n, H, W, C]` of latents after all strokes; those of one stage are composited in order (§4)."""
    edits: dict[str, Edit] = {}
    for stroke in strokes:
        new = stroke.edit(gan)
        edits[stroke.stage] = edits[stroke.stage].then(new) if stroke.stage in edits else new
    return gan(z, label=label, edits=edits)


def region(gan: Gan, stage: str, z: jax.Array, mask: Any, label: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Maximum and mask-weighted mean of each unit inside a mask `[H, W]`: two float32 `[U]`, over all latents."""
    act = gan.until(stage, z, label=label)
    weight = pool(mask, gan.shapes[stage][:2])[None, ..., None]
    inside = jnp.where(weight > 0, act.features, -jnp.inf).max((0, 1, 2))
    mean = (act.features * weight).sum((0, 1, 2)) / jnp.maximum(weight.sum() * len(act.features), 1e-20)
    return np.asarray(inside), np.asarray(mean)
