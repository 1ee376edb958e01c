"""The training step of `ganx.training.adversarial` as one writes it in PyTorch, on the twins' tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch_twins import Tensors

Net = Callable[[Tensors, Tensors, torch.Tensor], torch.Tensor]


@dataclasses.dataclass
class TorchGame:
    """One game: logistic loss, Adam (fused), moving average of G, gradient norms, optional penalties.

    `codes` turns latents `[n, d]` into what `images` takes (the identity for DCGAN); `share` lets G learn from the
    fakes that D has just seen.
    """

    g: Tensors
    d: Tensors
    g_stats: Tensors
    d_stats: Tensors
    codes: Callable[[bool, int], torch.Tensor]
    images: Callable[[torch.Tensor], torch.Tensor]
    critic: Net
    share: bool
    batch: int
    lr: float
    betas: tuple[float, float]
    r1: float = 0.0
    gp: float = 0.0
    path: float = 0.0

    def __post_init__(self) -> None:
        for tensor in (*self.g.values(), *self.d.values()):
            tensor.requires_grad_(True)
        options = {"lr": self.lr, "betas": self.betas, "fused": True}
        self.g_opt = torch.optim.Adam(self.g.values(), **options)
        self.d_opt = torch.optim.Adam(self.d.values(), **options)
        self.ema = [tensor.detach().clone() for tensor in self.g.values()]
        self.path_mean = torch.zeros((), device=self.ema[0].device)

    def step(self, real: torch.Tensor, lazy_r1: bool = False, path: bool = False) -> None:
        """One step: D, then G, then the lazy penalties whose turn it is, then the average."""
        if self.share:
            fake = self._fakes()
            self._d_step(real, fake.detach())
        else:
            with torch.no_grad():
                fake = self._fakes()
            self._d_step(real, fake)
            fake = self._fakes()
        self._freeze(True)
        self._descend(self.g_opt, self.g, F.softplus(-self._judge(fake)).mean())
        self._freeze(False)
        if lazy_r1:
            self._descend(self.d_opt, self.d, 16 * self.r1 * self._r1(real))
        if path:
            self._descend(self.g_opt, self.g, 4 * self.path * self._path_length())
        with torch.no_grad():
            torch._foreach_lerp_(self.ema, list(self.g.values()), 0.001)

    def _fakes(self) -> torch.Tensor:
        return self.images(self.codes(True, self.batch))

    def _judge(self, x: torch.Tensor) -> torch.Tensor:
        return self.critic(self.d, self.d_stats, x)

    def _freeze(self, frozen: bool) -> None:
        for tensor in self.d.values():
            tensor.requires_grad_(not frozen)

    def _descend(self, opt: torch.optim.Optimizer, params: Tensors, loss: torch.Tensor) -> None:
        opt.zero_grad()
        loss.backward()
        grads = [tensor.grad for tensor in params.values() if tensor.grad is not None]
        self.norm = torch.stack(torch._foreach_norm(grads)).norm()
        opt.step()

    def _d_step(self, real: torch.Tensor, fake: torch.Tensor) -> None:
        loss = F.softplus(-self._judge(real)).mean() + F.softplus(self._judge(fake)).mean()
        if self.gp:
            mix = torch.rand(len(real), 1, 1, 1, device=real.device)
            loss = loss + self.gp * self._gradient_penalty(real + mix * (fake - real))
        self._descend(self.d_opt, self.d, loss)

    def _slope(self, x: torch.Tensor) -> torch.Tensor:
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(self._judge(x).sum(), x, create_graph=True)[0]

    def _r1(self, real: torch.Tensor) -> torch.Tensor:
        return 0.5 * self._slope(real).square().sum((1, 2, 3)).mean()

    def _gradient_penalty(self, x: torch.Tensor) -> torch.Tensor:
        norms = (self._slope(x).square().sum((1, 2, 3)) + 1e-12).sqrt()
        return (norms - 1).square().mean()

    def _path_length(self) -> torch.Tensor:
        ws = self.codes(False, max(1, self.batch // 2))
        images = self.images(ws)
        noise = torch.randn_like(images) / (images.shape[2] * images.shape[3]) ** 0.5
        slope = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)[0]
        lengths = (slope.square().sum(2).mean(1) + 1e-12).sqrt()
        mean = self.path_mean + 0.01 * (lengths.mean() - self.path_mean)
        self.path_mean = mean.detach()
        return (lengths - mean).square().mean()
