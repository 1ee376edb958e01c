"""IGAN's own arithmetic, ours and a straightforward PyTorch version: the energy, the update of W, the partition.

python scripts/bench/igan.py --device cpu --pin 1             # small sizes
python scripts/bench/igan.py --device gpu --full              # the paper's sizes
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import harness
import numpy as np

SMALL = {"images": 8, "side": 16, "filters": 128, "groups": 16}
FULL = {"images": 32, "side": 32, "filters": 512, "groups": 24}
RESTARTS = 8


def data(images: int, side: int, filters: int, groups: int) -> dict[str, np.ndarray]:
    """Filters that fire around one of as many places as there are groups, with gains that vary by a factor of e."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    centres = rng.uniform(0, side, (groups, 2))
    bumps = np.exp(-((y - centres[:, :1, None]) ** 2 + (x - centres[:, 1:, None]) ** 2) / side).reshape(groups, -1)
    labels, gain = np.arange(filters) % groups, np.exp(rng.normal(size=filters))
    noise = np.abs(rng.normal(size=(2, images, side**2, filters)))
    features = gain * (bumps[labels].T + 0.05 * noise)
    weights = 0.1 * rng.normal(size=(side**2, filters, groups))
    return {"f": features[0], "revised": features[1], "weights": weights, "labels": labels}


def ours(arrays: dict[str, np.ndarray], groups: int) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """The functions that are timed, with their arguments."""
    import jax
    import jax.numpy as jnp

    from ganx.igan.energy import energy, realism_slope
    from ganx.igan.filters import filter_stats
    from ganx.igan.partition import fit_partition
    from ganx.igan.weights import WeightRule, update_weights

    f, revised, weights = (jnp.asarray(arrays[name], jnp.float32) for name in ("f", "revised", "weights"))
    labels = jnp.asarray(arrays["labels"], jnp.int32)

    def update(weights: Any, f: Any, revised: Any, labels: Any) -> Any:
        return update_weights(weights, realism_slope(f, revised, labels, groups), labels, 0.03, WeightRule())

    def fit(stats: Any, key: Any) -> Any:
        return fit_partition(stats, key, groups, restarts=RESTARTS).labels

    slope = jax.grad(lambda f, weights, labels: energy(f, weights, labels).sum())
    return {
        "energy": (energy, (f, weights, labels)),
        "slope of the energy": (slope, (f, weights, labels)),
        "update of W": (update, (weights, f, revised, labels)),
        f"partition, {RESTARTS} restarts": (fit, (filter_stats(f), jax.random.key(0))),
    }


def theirs(arrays: dict[str, np.ndarray], groups: int, device: str) -> dict[str, Callable[[], Any]]:
    """PyTorch's, in the same order."""
    import torch
    import torch_igan

    where = "cuda" if device == "gpu" else "cpu"
    f, revised, weights = (
        torch.tensor(arrays[name], dtype=torch.float32, device=where) for name in ("f", "revised", "weights")
    )
    labels = torch.tensor(arrays["labels"], device=where)
    scale = f.square().mean((0, 1)).sqrt()
    maps = (f.mean(0) / scale).T.contiguous()
    scatter = (f.square().sum((0, 1)) / len(f) / scale.square()) - maps.square().sum(1)
    starts = torch.stack([torch.randperm(len(maps))[:groups] for _ in range(RESTARTS)]).to(where)
    return {
        "energy": lambda: torch_igan.energy(f, weights, labels),
        "slope of the energy": lambda: torch_igan.slope(f, weights, labels),
        "update of W": lambda: torch_igan.updated(weights, f, revised, labels, 0.03, 2 / 3),
        f"partition, {RESTARTS} restarts": lambda: torch_igan.fit(maps, scatter, len(f), groups, starts),
    }


def main() -> None:
    options = harness.parser(__doc__.split("\n")[0])
    options.add_argument("--full", action="store_true", help="the paper's sizes")
    args = options.parse_args()
    harness.prepare(args)
    sizes = FULL if args.full else SMALL
    print(f"{harness.environment(args)}\n\n{sizes}\n", flush=True)
    import jax
    import torch_igan

    arrays, rows, peak = data(**sizes), [], harness.peak_gflops(args.device)[0]
    other = theirs(arrays, sizes["groups"], args.device)
    for name, (function, inputs) in ours(arrays, sizes["groups"]).items():
        if args.only not in name:
            continue
        program, seconds, gflop = harness.compile_jax(jax.jit(function), *inputs)
        _check(name, np.asarray(program(*inputs)), other[name]().cpu().numpy())
        run = lambda program=program, inputs=inputs: jax.block_until_ready(program(*inputs))  # noqa: E731
        side = harness.Side(run, seconds, gflop)
        parts = torch_igan.compile_iteration if name.startswith("partition") else None
        them = harness.torch_side(other[name], args.device, parts)
        row = harness.measure(name, sizes["images"], side, them, args.repeats)
        rows.append(harness.cells(row, peak, args.device))
    print(harness.table(harness.HEADER, rows, args.markdown))


def _check(name: str, mine: np.ndarray, other: np.ndarray) -> None:
    """Both sides must compute the same thing; partitions start at random and need not agree."""
    if not name.startswith("partition"):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())


if __name__ == "__main__":
    main()
