"""Swapping parts between images, and making the results more likely (paper, Modifying visual concepts)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ganx.gan import Activation, Gan
from ganx.igan.cut import Cut
from ganx.igan.edits import swap
from ganx.igan.energy import PAPER, EnergyForm, energy, filter_scale
from ganx.igan.langevin import Chain, LangevinRule, langevin
from ganx.igan.partition import membership


@dataclasses.dataclass(frozen=True)
class Swapped:
    """Pairs of images before and after, float32 `[n, H, W, C]` each. A pytree.

    Attributes:
      a, b: the images as they were.
      a_with_b: a with b's channels; everything else, the side inputs included, is a's.
      b_with_a: the other way round.
    """

    a: jax.Array
    b: jax.Array
    a_with_b: jax.Array
    b_with_a: jax.Array


jax.tree_util.register_dataclass(Swapped, ["a", "b", "a_with_b", "b_with_a"], [])


def swap_parts(gan: Gan, cut: Cut, a: Activation, b: Activation, channels: jax.Array) -> Swapped:
    """Exchanges channels between pairs of images.

    No channel gives the images back; all channels give the other image's features under one's own side inputs.

    Args:
      gan, cut: where.
      a, b: what crosses the cut for the images, from `cut.lower`.
      channels: `[m]`, see `edits.select`.
    """
    a_with_b = a.with_features(swap(b.features, channels)(a.features))
    b_with_a = b.with_features(swap(a.features, channels)(b.features))
    return Swapped(*(cut.upper(gan, act) for act in (a, b, a_with_b, b_with_a)))


def swap_each_group(gan: Gan, cut: Cut, a: Activation, b: Activation, labels: jax.Array, groups: int) -> jax.Array:
    """What the images of `a` become when each group alone comes from `b`: float32 `[c, n, H, W, C]`.

    All groups run as one batch, so memory is `groups` times that of the images.
    """

    def one(channels: jax.Array) -> jax.Array:
        return cut.upper(gan, a.with_features(swap(b.features, channels)(a.features)))

    return jax.vmap(one)(membership(labels, groups).T > 0)


def settle_swap(
    features_of: Callable[[jax.Array], jax.Array],
    z_a: jax.Array,
    z_b: jax.Array,
    channels: jax.Array,
    weights: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    rule: LangevinRule = LangevinRule(steps=10),
    form: EnergyForm = PAPER,
    prior: str = "normal",
) -> tuple[jax.Array, jax.Array, Chain]:
    """Moves both latents of every pair so that both swapped images become likelier (paper, Improving the realism).

    z_a and z_b follow the slope of log P(f'_a) + log P(f'_b), where f'_a and f'_b are the swapped features of the
    latents as they are now (with the correction of eq. 9, see `langevin`). The paper shows 5 to 10 steps; it
    reports a slightly worse FID after them.

    Args:
      features_of: latents `[n, ...]` -> features `[n, h, w, m]`.
      z_a, z_b: pairs, `[n, ...]`.
      channels: that are swapped, `[m]`, see `edits.select`.
      weights, labels: the energy.
      key: decides the noise.
      rule, form, prior: as for training.

    Returns:
      The new z_a and z_b, and the chain of both.
    """
    n = len(z_a)
    pairs = jnp.stack([z_a, z_b], 1)

    def both(pairs: jax.Array) -> jax.Array:
        features = features_of(pairs.reshape(2 * n, *pairs.shape[2:]))
        return features.reshape(n, 2, *features.shape[1:])

    scale = None
    if form.normalize != "none":
        scale = filter_scale(both(pairs).reshape(2 * n, -1, len(labels)), form)

    def energy_of(pairs: jax.Array) -> jax.Array:
        features = both(pairs)
        swapped = swap(features[:, ::-1], channels)(features)
        flat = swapped.reshape(2 * n, *swapped.shape[2:])
        return energy(flat, weights, labels, scale, form).reshape(n, 2).sum(1)

    chain = langevin(energy_of, pairs, key, rule, prior=prior)
    return chain.z[:, 0], chain.z[:, 1], chain
