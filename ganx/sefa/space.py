"""Where edits happen: starting codes, codes with a layer of their own for each block, and pictures of either.

On top of `ganx.codes`: PGGAN's codes are points of a sphere, to which the generator projects them again after an
edit, and BigGAN-deep, whose one z enters every block, takes another z for each of its layers here (as GANSpace does).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx import codes
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.pictures import shrink, to_uint8
from ganx.sefa.weights import layer_stages

Array = jax.Array | np.ndarray
_ON_SPHERE = ("pggan",)
_REPEATED = ("biggan_deep",)  # the same z enters at every layer
_BATCH_PIXELS = 2**17


def repeats_z(gan: Gan) -> bool:
    """Whether each layer can be given a z of its own, so that codes may be `[n, layers, d]`."""
    return gan.spec.family in _REPEATED


def start(gan: Gan, z: Array, psi: float = 1.0, cutoff: int | None = None, label: Array | None = None) -> jax.Array:
    """Codes `[n, *code_shape]` that edits start from.

    Args:
      gan: style-based families are mapped and truncated by `psi` (their first `cutoff` layers, all by default);
        PGGAN's z is brought to length sqrt(d); any other is its own code.
      z: `[n, *latent]`.
    """
    z = jnp.asarray(z)
    if not codes.style_based(gan):
        if gan.spec.family in _ON_SPHERE:
            return z * jax.lax.rsqrt(jnp.square(z).mean(-1, keepdims=True) + 1e-8)
        return z
    conditions: dict[str, Any] = {} if cutoff is None else {"cutoff": cutoff}
    return gan.until(codes.MAP, z, psi=psi, label=label, **conditions).features


def truncation(gan: Gan, psi: float, cutoff: int | None) -> jax.Array:
    """What truncation multiplies an earlier edit by, float32 `[layers]`; 1 where nothing is truncated."""
    count = codes.code_shape(gan)[0] if codes.style_based(gan) else len(layer_stages(gan))
    below = jnp.arange(count) < (count if cutoff is None else cutoff)
    return jnp.where(below & codes.style_based(gan), psi, 1.0)


def decode(gan: Gan, code: jax.Array, label: Array | None = None) -> jax.Array:
    """Images float32 `[n, H, W, C]` of codes `[n, *code_shape]`, or `[n, layers, d]` where layers have their own z."""
    if not (repeats_z(gan) and code.ndim == 3):
        return codes.decode(gan, code, label)
    driven = list(layer_stages(gan))
    if code.shape[1] != len(driven):
        raise GanxError(f"codes have {code.shape[1]} layers, this generator {len(driven)}; give one z for each")
    conditions = {} if label is None else {"label": label}

    def begin(z: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
        return gan.module.apply(gan.variables, z, method="begin", **conditions)

    features, context = begin(code[:, 0])
    for stage in gan.stages:
        if stage in driven:
            context = {**context, "condition": begin(code[:, driven.index(stage)])[1]["condition"]}
        features, context = gan.module.apply(gan.variables, (stage,), features, context, method="run")
    return features.astype(jnp.float32)


def draw(gan: Gan, code: Array, limit: int | None = None, label: Array | None = None) -> np.ndarray:
    """Pictures uint8 `[..., H, W, C]` of codes with any leading axes; arguments as for `ganx.codes.paint`."""
    if not (repeats_z(gan) and code.shape[-2] == len(layer_stages(gan)) and code.ndim > 2):
        return codes.paint(gan, code, limit, label)
    lead, own = code.shape[:-2], code.shape[-2:]
    flat = np.asarray(code).reshape(-1, *own)
    labels = None if label is None else np.broadcast_to(np.asarray(label), lead).reshape(-1)
    size = int(np.clip(_BATCH_PIXELS // gan.spec.resolution**2, 1, 32))
    parts = []
    for first in range(0, len(flat), size):
        rows = np.resize(np.arange(first, min(first + size, len(flat))), size)
        parts.append(np.asarray(_draw(gan, flat[rows], None if labels is None else labels[rows])))
    pictures = shrink(np.concatenate(parts)[: len(flat)], limit or gan.spec.resolution)
    return pictures.reshape(*lead, *pictures.shape[1:])


@jax.jit
def _draw(gan: Gan, code: jax.Array, label: jax.Array | None) -> jax.Array:
    return to_uint8(decode(gan, code, label))


def from_latents(gan: Gan, z: Array, space: str, **options: Any) -> jax.Array:
    """What an edit moves: the code, or z itself where `space` is "z" in a style-based family."""
    if space not in ("z", "w"):
        raise GanxError(f'directions live in "z" or "w", not {space!r}')
    if space == "w" and not codes.style_based(gan):
        raise GanxError(f"{gan.spec.family} has no styles; its directions live in z")
    return start(gan, z, **options) if space == "w" or not codes.style_based(gan) else jnp.asarray(z)


@dataclasses.dataclass(frozen=True)
class Truncation:
    """`psi` pulls styles to their mean in the first `cutoff` layers (all if None); `before` says edits come first."""

    psi: float = 1.0
    cutoff: int | None = None
    before: bool = False
