"""Ablation and insertion of units at places: `r' = (1 - a) r + a v` (§4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError
from ganx.gan import Gan

Units = Sequence[int] | np.ndarray


@dataclasses.dataclass(frozen=True)
class Edit:
    """An edit of one stage's features, to be passed as `gan(z, edits={stage: edit})`. A pytree.

    Attributes:
      alpha: how much of the value replaces the feature, in [0, 1]; broadcasts against `[n, h, w, U]`.
      value: what is put in; broadcasts likewise.
    """

    alpha: jax.Array
    value: jax.Array

    def __call__(self, features: jax.Array) -> jax.Array:
        """Edited features `[n, h, w, U]`. Bit for bit the old ones where alpha is 0 and the value where it is 1."""
        alpha = jnp.asarray(self.alpha, features.dtype)
        return (1 - alpha) * features + alpha * jnp.asarray(self.value, features.dtype)

    def then(self, other: Edit) -> Edit:
        """Both, one after the other, as one edit."""
        new, old = jnp.asarray(other.alpha), jnp.asarray(self.alpha)
        alpha = 1 - (1 - new) * (1 - old)
        mixed = self.value * old * (1 - new) + other.value * new
        value = mixed / jnp.where(alpha > 0, alpha, 1)  # nothing is put in where nothing is edited
        return Edit(alpha, value)


jax.tree_util.register_dataclass(Edit, data_fields=["alpha", "value"], meta_fields=[])


def unit_mask(units: Units, count: int) -> np.ndarray:
    """float32 `[U]`, 1 at the units."""
    chosen = np.asarray(units, np.int64).reshape(-1)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= count):
        raise GanxError(f"this stage has units 0 to {count - 1}, not {int(chosen.min())} to {int(chosen.max())}")
    mask = np.zeros(count, np.float32)
    mask[chosen] = 1
    return mask


def pool(mask: Any, size: tuple[int, ...], how: str = "max") -> jax.Array:
    """A mask `[..., H, W]` on a layer's grid `[..., h, w]`, by adaptive pooling: bin i covers floor(iH/h) to
    ceil((i + 1)H/h)."""
    if how not in ("max", "mean"):
        raise GanxError(f"masks are pooled by 'max' or 'mean', not {how!r}")
    mask = jnp.asarray(mask, jnp.float32)
    if how == "mean":
        rows, columns = (_means(mask.shape[axis], size[axis]) for axis in (-2, -1))
        return jnp.einsum("hH,...HW,wW->...hw", rows, mask, columns, precision="highest")
    for axis in (-2, -1):
        inside = _bins(mask.shape[axis], size[axis]).T  # [H, h]
        spread = jnp.expand_dims(jnp.moveaxis(mask, axis, -1), -1)
        mask = jnp.moveaxis(jnp.where(inside, spread, -jnp.inf).max(-2), -1, axis)
    return mask


def _bins(source: int, target: int) -> np.ndarray:
    """Which source pixels a bin covers, bool `[target, source]`."""
    at, bins = np.arange(source), np.arange(target)[:, None]
    return (at >= bins * source // target) & (at < -(-(bins + 1) * source // target))


def _means(source: int, target: int) -> np.ndarray:
    inside = _bins(source, target)
    return (inside / inside.sum(1, keepdims=True)).astype(np.float32)


def edit(gan: Gan, stage: str, units: Units, value: Any = 0.0, where: Any = None, strength: float = 1.0) -> Edit:
    """The edit that sets units to a value.

    Args:
      units: which ones.
      value: `[U]`, one for each unit of the stage, or one number; 0 ablates.
      where: a mask `[H, W]` of any resolution with values in [0, 1], pooled by max; everywhere by default.
      strength: 1 replaces, less mixes (eq. 5).
    """
    shape = gan.shapes[stage]
    alpha = strength * jnp.asarray(unit_mask(units, shape[-1]))
    if where is not None:
        alpha = pool(where, shape[:2])[..., None] * alpha
    return Edit(alpha, jnp.broadcast_to(jnp.asarray(value, jnp.float32), (shape[-1],)))


def ablate(
    gan: Gan, stage: str, z: jax.Array, units: Units, where: Any = None, label: Any = None, strength: float = 1.0
) -> jax.Array:
    """Images `[n, H, W, C]` of latents without the units, at the places `where`; arguments as for `edit`."""
    return gan(z, label=label, edits={stage: edit(gan, stage, units, 0.0, where, strength)})


def insert(
    gan: Gan,
    stage: str,
    z: jax.Array,
    units: Units,
    value: Any,
    where: Any = None,
    label: Any = None,
    strength: float = 1.0,
) -> jax.Array:
    """Images `[n, H, W, C]` of latents with the units set to `value` at the places `where`; see `edit`."""
    return gan(z, label=label, edits={stage: edit(gan, stage, units, value, where, strength)})
