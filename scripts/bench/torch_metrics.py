"""PyTorch's side of `metrics.py`: the Inception of 2015 with PyTorch's own functions, and the usual metric codes."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as f

from ganx.models.inception import BLOCKS, EPSILON, STEM, Mixed
from ganx.models.units import Unit

Tensors = dict[str, torch.Tensor]


def _unit(t: Tensors, name: str, unit: Unit, x: torch.Tensor) -> torch.Tensor:
    padding = tuple((k - 1) // 2 if unit.same else 0 for k in unit.kernel)
    x = f.conv2d(x, t[f"{name}.conv.weight"], stride=unit.stride, padding=padding)
    stats = (t[f"{name}.bn.running_mean"], t[f"{name}.bn.running_var"])
    return f.relu(f.batch_norm(x, *stats, t[f"{name}.bn.weight"], t[f"{name}.bn.bias"], eps=EPSILON))


def _block(t: Tensors, block: Mixed, x: torch.Tensor) -> torch.Tensor:
    outputs = []
    for branch in block.branches:
        y = x
        for unit in branch:
            forked = [unit] if isinstance(unit, Unit) else unit
            y = torch.cat([_unit(t, f"{block.name}.{u.name}", u, y) for u in forked], 1)
        outputs.append(y)
    if block.pool == "average":
        pooled = f.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    else:
        pooled = f.max_pool2d(x, 3, 1, 1) if block.pool == "maximum" else f.max_pool2d(x, 3, 2)
    if block.project:
        pooled = _unit(t, f"{block.name}.branch_pool", Unit("branch_pool", block.project), pooled)
    return torch.cat([*outputs, pooled], 1)


def inception(t: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Features `[n, 2048]` of images `[n, 3, 299, 299]`."""
    for unit in STEM:
        x = _unit(t, unit.name, unit, x)
        x = f.max_pool2d(x, 3, 2) if unit.width in (64, 192) else x
    for block in BLOCKS:
        x = _block(t, block, x)
    return x.mean((2, 3))


def weights(seed: int = 0) -> Tensors:
    """Random tensors under the public file's names."""
    random, tensors = torch.Generator().manual_seed(seed), {}

    def add(name: str, unit: Unit, entering: int) -> int:
        shape = (unit.width, entering, *unit.kernel)
        scale = (2 / (entering * unit.kernel[0] * unit.kernel[1])) ** 0.5
        tensors[f"{name}.conv.weight"] = scale * torch.randn(shape, generator=random)
        for part, low in (("weight", 0.8), ("bias", -0.1), ("running_mean", -0.1), ("running_var", 0.7)):
            tensors[f"{name}.bn.{part}"] = low + 0.2 * torch.rand(unit.width, generator=random)
        return unit.width

    width = 3
    for unit in STEM:
        width = add(unit.name, unit, width)
    for block in BLOCKS:
        leaving = 0
        for branch in block.branches:
            inner = width
            for unit in branch:
                forked = [unit] if isinstance(unit, Unit) else list(unit)
                inner = sum(add(f"{block.name}.{u.name}", u, inner) for u in forked)
            leaving += inner
        projected = Unit("branch_pool", block.project)
        leaving += add(f"{block.name}.branch_pool", projected, width) if block.project else width
        width = leaving
    tensors["fc.weight"], tensors["fc.bias"] = torch.randn(1008, width, generator=random), torch.zeros(1008)
    return tensors


def eigenvalue_frechet(a: Any, b: Any) -> float:
    """As torchmetrics has it: eigenvalues of the product of the covariances, in float64."""
    (mean_a, cov_a), (mean_b, cov_b) = ((x.mean(0), torch.cov(x.T)) for x in (a, b))
    shared = torch.linalg.eigvals(cov_a @ cov_b).sqrt().real.sum()
    return float((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * shared)


def precision_recall(real: torch.Tensor, fake: torch.Tensor, k: int, block: int) -> tuple[float, float]:
    """As the authors' code goes: blocks of `cdist`, the k-th smallest, then balls."""

    def reach(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.cdist(rows, x).kthvalue(k + 1, 1).values for rows in x.split(block)])

    def inside(rows: torch.Tensor, x: torch.Tensor, radii: torch.Tensor) -> float:
        found = torch.cat([(torch.cdist(part, x) <= radii).any(1) for part in rows.split(block)])
        return float(found.float().mean())

    return inside(fake, real, reach(real)), inside(real, fake, reach(fake))
