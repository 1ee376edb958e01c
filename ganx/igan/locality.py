"""Whether an edit changed the part it was meant to change, and nothing else (paper tables 2 and 4).

Images are `[n, H, W, C]`, masks `[n, H, W]` (bool or in [0, 1]). A pair whose mask is empty gives NaN and is counted
out; nothing is divided by zero.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

LEAST = 1e-4  # of the change between unrelated images: pairs that changed less inside are dropped (ours)


@dataclasses.dataclass(frozen=True)
class Locality:
    """Out/In over pairs, lower is better; the paper does not say how it aggregates. A pytree of float32 scalars.

    Attributes:
      mean: mean of the ratios, heavy-tailed.
      median: median of the ratios.
      ratio: ratio of the mean Out to the mean In.
      pairs: number of pairs that counted.
      dropped: number of those that did not: an empty or full mask, or hardly any change inside it.
    """

    mean: jax.Array
    median: jax.Array
    ratio: jax.Array
    pairs: jax.Array
    dropped: jax.Array


jax.tree_util.register_dataclass(Locality, ["mean", "median", "ratio", "pairs", "dropped"], [])


def change(before: jax.Array, after: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """In and Out: mean squared change over the RGB entries inside a mask and outside it (paper, above table 4).

    Returns:
      float32 `[n]` each; NaN where the mask, or its complement, is empty.
    """
    square = jnp.square(before - after).mean(-1)
    inside = mask.astype(jnp.float32)
    return _masked_mean(square, inside), _masked_mean(square, 1 - inside)


def usual_change(images: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean In between unrelated images: each with the next. A float32 scalar, the unit of `LEAST`."""
    return jnp.nanmean(change(images, jnp.roll(images, 1, 0), mask)[0])


def locality(before: jax.Array, after: jax.Array, mask: jax.Array, usual: jax.Array | float | None = None) -> Locality:
    """Table 4's measure, in all three aggregations.

    Args:
      before, after: images and their edits.
      mask: the part in `before`.
      usual: change between unrelated images; by default that among `before`.
    """
    inside, outside = change(before, after, mask)
    usual = usual_change(before, mask) if usual is None else usual
    keep = (inside > LEAST * usual) & jnp.isfinite(outside)
    ratio = jnp.where(keep, outside / jnp.where(keep, inside, 1.0), jnp.nan)
    total_in, total_out = (jnp.where(keep, x, 0.0).sum() for x in (inside, outside))
    pairs = keep.sum().astype(jnp.float32)
    whole = jnp.where(pairs > 0, total_out / jnp.where(pairs > 0, total_in, 1.0), jnp.nan)
    return Locality(jnp.nanmean(ratio), jnp.nanmedian(ratio), whole, pairs, len(ratio) - pairs)


def transfer(
    before: jax.Array, after: jax.Array, donor: jax.Array, mask: jax.Array, usual: jax.Array | float | None = None
) -> jax.Array:
    """In(x, x') / In(x, donor), the mean over pairs: 1 if a part was replaced, 0 if nothing happened (ours).

    Locality alone rewards a group that does nothing. Pairs that hardly differ inside the mask are left out.
    """
    return _relative(change(before, after, mask)[0], before, donor, mask, usual)


def approach(
    before: jax.Array, after: jax.Array, donor: jax.Array, mask: jax.Array, usual: jax.Array | float | None = None
) -> jax.Array:
    """1 - In(x', donor) / In(x, donor), the mean over pairs: how much nearer to the donor the part came (ours).

    Unlike `transfer` it does not reward a change in a wrong direction: 1 for the donor's part itself, 0 for no
    edit, below 0 for one that leads away.
    """
    return 1.0 - _relative(change(after, donor, mask)[0], before, donor, mask, usual)


def choice(after: jax.Array, donor: jax.Array, others: jax.Array, mask: jax.Array) -> jax.Array:
    """Whether the donor can be told from others by the part: the study of table 2 without people (ours).

    Args:
      after: edited images.
      donor: where the part came from.
      others: unrelated images, `[n, k, H, W, C]`; the paper shows the donor among four, so k is 3.
      mask: the part.

    Returns:
      bool `[n]`: the donor is strictly nearest inside the mask. By chance one in k + 1.
    """
    own = change(after, donor, mask)[0]
    rest = jax.vmap(lambda other: change(after, other, mask)[0], in_axes=1)(others)
    return (own < rest).all(0)


def _relative(
    inside: jax.Array, before: jax.Array, donor: jax.Array, mask: jax.Array, usual: jax.Array | float | None
) -> jax.Array:
    whole = change(before, donor, mask)[0]
    usual = usual_change(before, mask) if usual is None else usual
    keep = whole > LEAST * usual
    return jnp.nanmean(jnp.where(keep, inside / jnp.where(keep, whole, 1.0), jnp.nan))


def _masked_mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    total = weights.sum((1, 2))
    some = total > 0
    return jnp.where(some, (values * weights).sum((1, 2)) / jnp.where(some, total, 1.0), jnp.nan)
