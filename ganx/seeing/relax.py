"""What is optimised to reconstruct an image: the outputs of the early layers, or the code."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from ganx.seeing.chain import Parts, relaxed
from ganx.seeing.inverter import Inverter
from ganx.seeing.losses import Features, clamped, image_loss, per_image

Data = dict[str, Any]
"""Per image: "image" `[n, H, W, C]`, "wanted" (its features, None without a feature net), "label" (or None), "z"."""


def prepare(images: jax.Array, features: Features | None, z: jax.Array | None = None, label: Any = None) -> Data:
    """What objectives read; the features of the targets are computed once."""
    wanted = None if features is None else features(images)
    return {"image": images, "wanted": wanted, "label": label, "z": z}


@dataclasses.dataclass(frozen=True)
class Relaxation:
    """Layer-wise image optimisation: loss of the image of `relaxed(z_0, δ)` plus `strength` Σ mean δ_i².

    Means of squares, as in the authors' `optimize_residuals.py`; the paper writes ‖δ_i‖². A pytree.
    """

    chain: Parts
    features: Features | None
    strength: float = 1.0
    clamp: str = "straight"

    def __call__(self, deltas: dict[str, jax.Array], data: Data) -> jax.Array:
        act = relaxed(self.chain, data["z"], deltas, data["label"])
        images = clamped(self.chain.paint(act), self.clamp)
        loss = image_loss(images, data["image"], self.features, data["wanted"])
        return loss + self.strength * sum(per_image(jnp.square(delta)) for delta in deltas.values())


@dataclasses.dataclass(frozen=True)
class CodeSearch:
    """Loss of the image of z, plus `weight` mean (E(x) - E(G(z)))² where there is an inverter. A pytree."""

    chain: Parts
    features: Features | None
    inverter: Inverter | None = None
    weight: float = 0.25
    clamp: str = "straight"

    def __call__(self, z: jax.Array, data: Data) -> jax.Array:
        images = clamped(self.chain.paint(relaxed(self.chain, z, {}, data["label"])), self.clamp)
        loss = image_loss(images, data["image"], self.features, data["wanted"])
        if self.inverter is None:
            return loss
        return loss + self.weight * per_image(jnp.square(data["z"] - self.inverter.encode(images)))


jax.tree_util.register_dataclass(Relaxation, data_fields=["chain", "features"], meta_fields=["strength", "clamp"])
jax.tree_util.register_dataclass(
    CodeSearch, data_fields=["chain", "features", "inverter"], meta_fields=["weight", "clamp"]
)
