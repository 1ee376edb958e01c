"""One generation of E-GAN as one writes it in PyTorch: a loop over mutations, each child evaluated on its own."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn


def networks(setting: str, w: int) -> tuple[nn.Module, nn.Module, int, tuple[int, ...]]:
    """G, D, latent size and shape of an example: the nets of `ganx.models.mlp` and `.egan` of width `w`."""
    if setting == "toy":
        g = nn.Sequential(*_dense(2, w), *_dense(w, w), *_dense(w, w), nn.Linear(w, 2))
        norm = (nn.Linear(w, w, bias=False), nn.BatchNorm1d(w), nn.ReLU())
        return g, nn.Sequential(*_dense(2, w), *norm, *_dense(w, w), nn.Linear(w, 1)), 2, (2,)
    up = [layer for i, o in ((4 * w, 2 * w), (2 * w, w)) for layer in (nn.ConvTranspose2d(i, o, 4, 2, 1), nn.ReLU())]
    start = (nn.Linear(100, 64 * w), nn.Unflatten(1, (4 * w, 4, 4)), nn.ReLU())
    g = nn.Sequential(*start, *up, nn.ConvTranspose2d(w, 3, 4, 2, 1), nn.Tanh())
    d: list[nn.Module] = [nn.Conv2d(3, w, 4, 2, 1), nn.LeakyReLU(0.2)]
    for i, o in ((w, 2 * w), (2 * w, 4 * w)):
        d += [nn.Conv2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(0.2)]
    return g, nn.Sequential(*d, nn.Flatten(), nn.Linear(64 * w, 1)), 100, (3, 32, 32)


def _dense(i: int, o: int) -> tuple[nn.Module, ...]:
    return nn.Linear(i, o), nn.ReLU()


MUTATIONS = (
    lambda logit: -F.softplus(logit).mean(),
    lambda logit: F.softplus(-logit).mean(),
    lambda logit: (torch.sigmoid(logit) - 1).square().mean(),
)


class TorchEgan:
    """One parent, three mutations; weights and optimiser state are copied for each child, as the release does."""

    def __init__(self, setting: str, width: int, batch: int, d_steps: int, evaluation: int, device: str):
        g, d, self.latent, shape = networks(setting, width)
        self.g, self.d = (net.to(device, memory_format=torch.channels_last) for net in (g, d))
        self.draw, self.judge = self.g, self.d
        self.batch, self.d_steps, self.evaluation, self.device = batch, d_steps, evaluation, device
        options = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": True}
        self.g_opt = torch.optim.Adam(self.g.parameters(), **options)
        self.d_opt = torch.optim.Adam(self.d.parameters(), **options)
        self.real = torch.randn(evaluation + batch * d_steps, *shape, device=device)

    def compile(self) -> None:
        """From here on both nets and their gradients are `torch.compile`'s; the loop over mutations stays Python's."""
        self.draw, self.judge = torch.compile(self.g), torch.compile(self.d)

    def step(self) -> None:
        """Variation, evaluation, selection, D's updates."""
        weights, moments = copy.deepcopy(self.g.state_dict()), copy.deepcopy(self.g_opt.state_dict())
        best = None
        # the real half once a generation, as ours does it
        half = self._slopes(F.softplus(-self.judge(self.real[: self.evaluation])).mean())
        for mutation in MUTATIONS:
            self.g.load_state_dict(weights)
            self.g_opt.load_state_dict(moments)
            self.g_opt.zero_grad()
            mutation(self.judge(self.draw(self._noise(self.batch)))).backward()
            self.g_opt.step()
            with torch.no_grad():
                fake = self.draw(self._noise(self.evaluation))
            logit = self.judge(fake)
            grads = self._slopes(F.softplus(logit).mean())
            norm = sum((a + b).square().sum() for a, b in zip(half, grads, strict=True))
            fitness = torch.sigmoid(logit).mean() - 0.005 * torch.log(norm)
            if best is None or fitness > best[0]:
                best = (fitness, copy.deepcopy(self.g.state_dict()), copy.deepcopy(self.g_opt.state_dict()), fake)
        _, survivor, state, fake = best
        self.g.load_state_dict(survivor)
        self.g_opt.load_state_dict(state)
        for i in range(self.d_steps):
            rows = slice(i * self.batch, (i + 1) * self.batch)
            self.d_opt.zero_grad()
            real = F.softplus(-self.judge(self.real[self.evaluation :][rows])).mean()
            (real + F.softplus(self.judge(fake[rows])).mean()).backward()
            self.d_opt.step()

    def _slopes(self, loss: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(loss, list(self.d.parameters()))

    def _noise(self, n: int) -> torch.Tensor:
        return torch.rand(n, self.latent, device=self.device) * 2 - 1
