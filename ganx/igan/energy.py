"""The energy-based model on the latent space (paper eqs 3, 4, 8).

    P_W(f(z)) = exp(g_W(f(z))) P0(z) / Z(W)        g_W(f) = Σ_jck W_jck f^j_k f̄^c_k

f^j is the map of filter j on one image and f̄^c the mean map of the filters of group c on the same image (that it is
per image is our reading). The density lives on z: a Gaussian prior tilted by how well filters agree with group
centres. Weights are kept as `[k, m, c]`, so that every sum is one matrix product for each position and nothing of
size n m c k exists (ours).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from ganx.errors import unknown
from ganx.igan.filters import by_position
from ganx.igan.partition import membership

NORMALIZE = ("none", "filter", "direction")
REDUCE = ("sum", "mean")


@dataclasses.dataclass(frozen=True)
class EnergyForm:
    """How g is computed. The defaults are the paper's; the switches are ours.

    Attributes:
      normalize: "none", or "filter": every filter is divided by its root mean square over a batch (see
        `filter_scale`), so that no filter gains by growing or shrinking. "direction": that too, but a filter still
        counts as much as it is loud, so that quiet ones are not pushed until they die.
      reduce: "sum", or "mean": g is divided by the number of entries m k, so that its weight means the same for
        layers of any size.
      fixed_centres: no gradient through f̄^c. With it, large groups lose an advantage over small ones.

    Raises:
      GanxError: another `normalize` or `reduce`.
    """

    normalize: str = "none"
    reduce: str = "sum"
    fixed_centres: bool = False

    def __post_init__(self) -> None:
        if self.normalize not in NORMALIZE:
            raise unknown("normalization of the energy", self.normalize, NORMALIZE)
        if self.reduce not in REDUCE:
            raise unknown("reduction of the energy", self.reduce, REDUCE)


PAPER = EnergyForm()


def filter_scale(features: jax.Array, form: EnergyForm = PAPER) -> jax.Array:
    """What the features are divided by, `[m]`: their root mean square over a batch, or ones.

    For "direction" the value is the same for all filters, and each filter's share of it has the slope of its own.

    The gradient goes through it. Within a Langevin chain it stays what it was for the batch that the chain began with,
    for otherwise chains would depend on each other and g would be no function of z.
    """
    f = by_position(features)
    if form.normalize == "none":
        return jnp.ones(f.shape[-1])
    square = jnp.square(f.astype(jnp.float32)).mean((0, 1))
    rms = jnp.sqrt(square + 1e-8 * jax.lax.stop_gradient(square.mean()) + jnp.finfo(jnp.float32).tiny)
    return rms if form.normalize == "filter" else rms * jax.lax.stop_gradient(jnp.sqrt(jnp.square(rms).mean()) / rms)


def centres(features: jax.Array, labels: jax.Array, groups: int) -> jax.Array:
    """f̄^c: mean map of every group on every image, float32 `[n, k, c]`; zero for an empty group."""
    share = membership(labels, groups)
    share = share / jnp.maximum(share.sum(0), 1.0)
    return jnp.einsum("nkm,mc->nkc", by_position(features), share, preferred_element_type=jnp.float32)


def energy(
    features: jax.Array, weights: jax.Array, labels: jax.Array, scale: jax.Array | None = None, form: EnergyForm = PAPER
) -> jax.Array:
    """g_W of every image: float32 `[n]`.

    Args:
      features: `[n, h, w, m]` or `[n, k, m]`.
      weights: W, `[k, m, c]`.
      labels: group of every filter, int32 `[m]`.
      scale: `[m]`, see `filter_scale`; by default that of this batch.
      form: switches.
    """
    f, middle = _prepared(features, labels, weights.shape[-1], scale, form)
    if form.fixed_centres:
        middle = jax.lax.stop_gradient(middle)
    agreement = jnp.einsum("nkm,kmc->nkc", f, weights, preferred_element_type=jnp.float32)
    return (agreement * middle).sum((1, 2)) / _count(f, form)


def energy_slope(
    features: jax.Array, labels: jax.Array, groups: int, scale: jax.Array | None = None, form: EnergyForm = PAPER
) -> jax.Array:
    """Mean over images of dg/dW_jck = f^j_k f̄^c_k, `[k, m, c]`: no autodiff, one product for each position (ours).

    Args:
      features, labels, scale, form: as for `energy`.
      groups: number of groups c.
    """
    f, middle = _prepared(features, labels, groups, scale, form)
    middle = middle / (len(f) * _count(f, form))
    return jnp.einsum("nkm,nkc->kmc", f, middle, preferred_element_type=jnp.float32)


def realism_slope(
    features: jax.Array, revised: jax.Array, labels: jax.Array, groups: int, form: EnergyForm = PAPER
) -> jax.Array:
    """∂L_real/∂W: mean dg/dW at the revised latents minus that at the latents themselves (paper eq. 8).

    No real image enters: the data of this maximum likelihood are the generator's own features (ours, from eq. 8).

    Args:
      features: at latents from the prior, `[n, h, w, m]`.
      revised: at the latents that Langevin sampling made of them, of the same shape.
      labels, groups, form: as for `energy_slope`; the scale is that of `features` for both.

    Returns:
      `[k, m, c]`, from one product, so that the large array is written once.
    """
    scale = filter_scale(features, form)
    there, middle_there = _prepared(revised, labels, groups, scale, form)
    here, middle_here = _prepared(features, labels, groups, scale, form)
    # stacked along an axis of their own: joining the batches would move data between devices
    f, middle = jnp.stack([there, here]), jnp.stack([middle_there, -middle_here])
    middle = middle / (len(here) * _count(here, form))
    return jnp.einsum("snkm,snkc->kmc", f, middle, preferred_element_type=jnp.float32)


def _prepared(
    features: jax.Array, labels: jax.Array, groups: int, scale: jax.Array | None, form: EnergyForm
) -> tuple[jax.Array, jax.Array]:
    """Features in the form's units as `[n, k, m]`, and their centres."""
    f = by_position(features)
    if form.normalize != "none":
        f = f / (filter_scale(f, form) if scale is None else scale)
    return f, centres(f, labels, groups)


def _count(f: jax.Array, form: EnergyForm) -> int:
    return f.shape[1] * f.shape[2] if form.reduce == "mean" else 1
