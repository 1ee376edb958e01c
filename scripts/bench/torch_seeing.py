"""PyTorch twins of counting classes and of optimising a layer's output, as one writes them there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch_twins import Tensors, dcgan_transposed, tensors


def moments(labels: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum of the tallies and of their outer products, float64, of label maps `[n, H, W]`: a bincount an image."""
    counts = torch.stack([torch.bincount(image.flatten(), minlength=classes) for image in labels]).double()
    return counts.sum(0), counts.T @ counts


class TorchLate:
    """The stages of a trained DCGAN after `s0`, and `s0` itself, in evaluation mode."""

    def __init__(self, variables: Any, device: str):
        params = variables["params"]
        self.p: Tensors = tensors(params, device, dcgan_transposed(params))
        self.s: Tensors = tensors({"batch_stats": variables["batch_stats"]}, device)

    def first(self, z: torch.Tensor) -> torch.Tensor:
        return F.relu(self._norm("s0", F.conv_transpose2d(z[:, :, None, None], self.p["s0/kernel"])))

    def late(self, x: torch.Tensor) -> torch.Tensor:
        i = 1
        while f"s{i}/kernel" in self.p:
            x = F.relu(self._norm(f"s{i}", F.conv_transpose2d(x, self.p[f"s{i}/kernel"], stride=2, padding=1)))
            i += 1
        return torch.tanh(F.conv_transpose2d(x, self.p["rgb/kernel"], stride=2, padding=1))

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        mean, var = self.s[f"batch_stats/{name}/norm/mean"], self.s[f"batch_stats/{name}/norm/var"]
        return F.batch_norm(x, mean, var, self.p[f"{name}/norm/scale"], self.p[f"{name}/norm/bias"])


def invert_one(net: TorchLate, image: torch.Tensor, z: torch.Tensor, steps: int, lr: float) -> torch.Tensor:
    """The reconstruction of one image: L1 of the pixels plus the mean square of the perturbation of `s0`, by Adam."""
    with torch.no_grad():
        base = net.first(z)
    delta = torch.zeros_like(base, requires_grad=True)
    adam = torch.optim.Adam([delta], lr)
    for _ in range(steps):
        adam.zero_grad(set_to_none=True)
        loss = (net.late(base + delta) - image).abs().mean() + delta.square().mean()
        loss.backward()
        adam.step()
    with torch.no_grad():
        return net.late(base + delta)


def inversion_step(net: TorchLate, images: Any, z: Any, steps: int, lr: float, device: str) -> Callable[[], Any]:
    """All images `[n, H, W, C]`, one after the other."""
    x = torch.tensor(np.asarray(images), device=device).permute(0, 3, 1, 2).contiguous()
    codes = torch.tensor(np.asarray(z), device=device)
    return lambda: torch.cat([invert_one(net, x[i : i + 1], codes[i : i + 1], steps, lr) for i in range(len(x))])
