"""Painting with units: strokes that draw or remove a class at a place (§10)."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from ganx.dissection.interventions import Edit, edit, pool
from ganx.dissection.result import Dissection
from ganx.dissection.samples import check_stage
from ganx.errors import GanxError, one_line, unknown
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
    """Strokes from interventions, one each.

    Args:
      interventions: `unit` and `layer`, and where wanted `value` (0), `alpha` (1), `maskpooling` ("max") and a `mask`
        (everywhere): rows of numbers in [0, 1], a PNG as `data:image/png;base64,…` (white is 1), or
        `{"shape": [h, w], "bitstring": "0110…"}`.

    Raises:
      GanxError: something is missing, no number, or out of range.
    """
    strokes = []
    for row in interventions:
        missing = {"unit", "layer"} - row.keys()
        if missing:
            raise GanxError(f"an intervention lacks {', '.join(sorted(missing))}; give unit, layer, alpha and value")
        layer, how = row["layer"], row.get("maskpooling", "max")
        height, width, units = check_stage(gan, layer)
        unit, value, alpha = (_number(row, name, usual) for name, usual in (("unit", -1), ("value", 0), ("alpha", 1)))
        if unit not in range(units) or not 0 <= alpha <= 1:
            raise GanxError(
                f"unit {unit:g} with alpha {alpha:g}: {layer} has units 0 to {units - 1}, alpha is in [0, 1]"
            )
        mask = _mask(row["mask"]) if "mask" in row else np.ones((height, width), np.float32)
        strokes.append(Stroke(layer, (int(unit),), np.full(units, value, np.float32), mask, alpha, how))
    return strokes


def _number(row: Mapping[str, Any], name: str, usual: float) -> float:
    value = row.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise GanxError(f"{name} of an intervention is a number, not {value!r:.40}")
    return value


def _mask(given: Any) -> np.ndarray:
    """A mask float32 `[H, W]` in [0, 1] from any of its forms in JSON."""
    try:
        if isinstance(given, str):
            head, _, data = given.partition(",")
            if not head.startswith("data:image/"):
                raise ValueError("not a data URL of a picture")
            with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
                return np.asarray(picture.convert("L"), np.float32) / 255
        if isinstance(given, Mapping):
            bits = np.array([{"0": 0, "1": 1}[bit] for bit in given["bitstring"]], np.float32)
            return bits.reshape(given["shape"])
        mask = np.asarray(given, np.float32)
        if mask.ndim != 2 or not mask.size or not ((mask >= 0) & (mask <= 1)).all():
            raise ValueError("not rows of numbers in [0, 1]")
        return mask
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise GanxError(
            f"a mask cannot be read: {one_line(error)}; give rows of 0 to 1, or a PNG as data URL"
        ) from None


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
