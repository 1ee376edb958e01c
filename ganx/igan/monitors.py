"""Numbers to log at every interpretability step, each a float32 scalar: the signs of the known failures (ours).

maps shrink, filters die     rms (relative to the start), dead, energy below zero
maps grow                    rms, energy
few filters take all         top_share
W turns against the groups   w_own falls below zero
one group takes all          entropy, smallest, empty
a variance collapses         least_variance
labels switch                moved
Langevin explodes            score, distance (see `langevin.Chain`)
GAN updates stall            ratio of the gradients' norms (see `guidance`)
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ganx.igan.filters import DEAD, by_position
from ganx.igan.partition import Partition, membership

Metrics = dict[str, jax.Array]
SHRUNK = 0.3  # of the RMS at the start: warn below


def weight_monitors(weights: jax.Array, labels: jax.Array) -> Metrics:
    """Mean of W `[k, m, c]` over own-group entries (`w_own`) and over the others (`w_other`); 0 if there are none."""
    own, mean = membership(labels, weights.shape[-1]), weights.mean(0)
    return {
        "w_own": (mean * own).sum() / own.sum(),
        "w_other": (mean * (1 - own)).sum() / jnp.maximum((1 - own).sum(), 1.0),
    }


def feature_monitors(features: jax.Array, start_rms: jax.Array | float | None = None) -> Metrics:
    """Scale and spread of features `[n, h, w, m]`; `start_rms` is the RMS before fine-tuning."""
    f = by_position(features).astype(jnp.float32)
    square, peak = jnp.square(f).mean((0, 1)), f.max((0, 1))
    rms = jnp.sqrt(square.mean())
    metrics = {
        "rms": rms,
        "mean": f.mean(),
        "dead": ((peak < DEAD * peak.max()) | (peak <= 0)).sum().astype(jnp.float32),
        "top_share": square.max() / jnp.maximum(square.sum(), jnp.finfo(jnp.float32).tiny),
    }
    return metrics if start_rms is None else metrics | {"rms_ratio": rms / start_rms}


def partition_monitors(partition: Partition, old: Partition | None = None) -> Metrics:
    """Occupancy of the groups, and how far the partition went from the old one."""
    sizes = partition.sizes
    share = sizes / jnp.maximum(sizes.sum(), 1.0)
    metrics = {
        "log_likelihood": partition.log_likelihood,
        "entropy": -jax.scipy.special.xlogy(share, share).sum() / jnp.log(max(partition.groups, 2)),
        "smallest": sizes.min(),
        "largest": sizes.max(),
        "empty": (sizes == 0).sum().astype(jnp.float32),
        "least_variance": partition.variances.min(),
    }
    moved = None if old is None else (partition.labels != old.labels).sum().astype(jnp.float32)
    return metrics if moved is None else metrics | {"moved": moved}
