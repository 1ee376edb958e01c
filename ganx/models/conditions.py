"""What style-based generators take besides z, as one context: class labels, truncation and noise."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from ganx.errors import GanxError, unknown
from ganx.models.staged import Context
from ganx.models.style import checked_label

Noise = str | Mapping[str, jax.Array] | jax.Array


def mapping_context(
    label: jax.Array | None, classes: int, psi: float | jax.Array, cutoff: int | None, n: int, codes: int
) -> Context:
    """What a mapping stage takes: "psi" `[n, codes]`, 1 from code `cutoff` on, and with classes "label" int32 `[n]`.

    Raises:
      GanxError: labels that do not fit, see `checked_label`.
    """
    below = jnp.arange(codes) < (codes if cutoff is None else cutoff)
    context: Context = {"psi": jnp.broadcast_to(jnp.where(below, psi, 1.0), (n, codes))}
    label = checked_label(label, classes, n)
    return context if label is None else {**context, "label": label}


def noise_context(noise: Noise, n: int, sides: Mapping[str, int]) -> Context:
    """What layers with noise take, as `noise_maps` reads it.

    Args:
      noise: "const" (the stored maps), "none", a key that draws fresh noise for every sample, or maps `[r, r]` or
        `[n, r, r]` by the name of a layer, the stored ones elsewhere.
      sides: r of every layer that has noise, by its name.

    Raises:
      GanxError: none of these, or maps that do not fit.
    """
    if isinstance(noise, str):
        if noise not in ("const", "none"):
            raise GanxError(f'noise is "const", "none", a key from jax.random.key or maps by layer, not {noise!r}')
        return {} if noise == "const" else {"noise": None}
    if not isinstance(noise, Mapping):
        return {"noise": jax.random.split(noise, n)}
    for name, given in noise.items():
        if name not in sides:
            raise unknown("layer with noise", name, sides)
        if jnp.shape(given)[-2:] != (sides[name],) * 2 or jnp.ndim(given) not in (2, 3):
            raise GanxError(f"noise at {name} is [n, {sides[name]}, {sides[name]}], not {list(jnp.shape(given))}")
    return {"noise": {k: jnp.broadcast_to(v, (n, sides[k], sides[k])) for k, v in noise.items()}}


def noise_maps(context: Context, index: int, stored: jax.Array) -> jax.Array | None:
    """The noise of `layer{index}`: `[n, r, r, 1]`, or `[1, r, r, 1]` if it is the `stored` `[r, r]`; None for none."""
    given = context.get("noise", {})
    if given is None:
        return None
    if isinstance(given, dict):
        return given.get(f"layer{index}", stored[None])[..., None]
    draw = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, index), stored.shape))
    return draw(given)[..., None]
