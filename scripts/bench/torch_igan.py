"""IGAN's arithmetic in PyTorch as one would write it down from the paper: what `igan.py` measures ganx against."""

from __future__ import annotations

import math

import torch


def energy(f: torch.Tensor, weights: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """g_W of every image: features `[n, k, m]`, W `[k, m, c]`, labels `[m]`."""
    centres = group_centres(f, labels, weights.shape[-1])
    return (torch.einsum("nkm,kmc->nkc", f, weights) * centres).sum((1, 2))


def group_centres(f: torch.Tensor, labels: torch.Tensor, groups: int) -> torch.Tensor:
    """Mean map of each group on each image, `[n, k, c]`."""
    share = torch.nn.functional.one_hot(labels, groups).to(f.dtype)
    return f @ (share / share.sum(0).clamp(min=1))


def slope(f: torch.Tensor, weights: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """dg/df by autograd."""
    f = f.detach().requires_grad_()
    return torch.autograd.grad(energy(f, weights, labels).sum(), f)[0]


def updated(
    weights: torch.Tensor, f: torch.Tensor, revised: torch.Tensor, labels: torch.Tensor, lambda3: float, lambda1: float
) -> torch.Tensor:
    """W after one step at learning rate 10, the realism term by autograd."""
    w = weights.detach().requires_grad_()
    loss = energy(revised, w, labels).mean() - energy(f, w, labels).mean()
    pull = torch.autograd.grad(loss, w)[0]
    own = torch.nn.functional.one_hot(labels, weights.shape[-1]).to(f.dtype)
    return weights - 10 * (pull + lambda3 * (lambda1 * (1 - own) - own))


def iterate(
    maps: torch.Tensor,
    scatter: torch.Tensor,
    images: int,
    floor: torch.Tensor,
    centres: torch.Tensor,
    variances: torch.Tensor,
    shares: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Centres `[c, k]`, variances `[c]` and shares `[c]` after one iteration of EM."""
    belief = _joint(maps, scatter, images, centres, variances, shares).softmax(1)
    size = belief.sum(0).clamp(min=1e-6)
    centres = (belief.T @ maps) / size[:, None]
    away = torch.cdist(maps, centres).square() + scatter[:, None]
    variances = ((belief * away).sum(0) / (maps.shape[1] * size)).clamp(min=floor)
    return centres, variances, (size + 1) / (len(maps) + len(shares))


def compile_iteration() -> None:
    """From here on `fit` runs its iterations through `torch.compile`; its loop over restarts stays Python's."""
    global iterate
    iterate = torch.compile(iterate)


def fit(maps: torch.Tensor, scatter: torch.Tensor, images: int, groups: int, starts: torch.Tensor) -> torch.Tensor:
    """Labels of the most likely of several EM fits of 30 iterations.

    Args:
      maps: mean maps `[m, k]`, in the units of the fit.
      scatter: mean squared distance from them, `[m]`.
      images: how many they are the mean of.
      groups: how many.
      starts: filters that are the first centres, `[restarts, c]`.
    """
    best, labels = -math.inf, torch.zeros(len(maps), dtype=torch.long, device=maps.device)
    m, k = maps.shape
    floor = 1e-3 * ((maps - maps.mean(0)).square().sum(1) + scatter).sum() / (m * k)
    for start in starts:
        centres, variances = maps[start], maps.new_full((groups,), float(floor) * 1e3)
        shares = maps.new_full((groups,), 1 / groups)
        for _ in range(30):
            centres, variances, shares = iterate(maps, scatter, images, floor, centres, variances, shares)
        joint = _joint(maps, scatter, images, centres, variances, shares)
        likelihood = float(joint.logsumexp(1).sum())
        if likelihood > best:
            best, labels = likelihood, joint.argmax(1)
    return labels


def _joint(
    maps: torch.Tensor,
    scatter: torch.Tensor,
    images: int,
    centres: torch.Tensor,
    variances: torch.Tensor,
    shares: torch.Tensor,
) -> torch.Tensor:
    away = torch.cdist(maps, centres).square() + scatter[:, None]
    spread = images * maps.shape[1] / 2 * torch.log(2 * math.pi * variances)
    return torch.log(shares) - spread - images / (2 * variances) * away
