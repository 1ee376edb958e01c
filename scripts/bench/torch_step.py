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
        self.compiled = False
        for tensor in (*self.g.values(), *self.d.values()):
            tensor.requires_grad_(True)
        options = {"lr": self.lr, "betas": self.betas, "fused": True}
        self.g_opt = torch.optim.Adam(self.g.values(), **options)
        self.d_opt = torch.optim.Adam(self.d.values(), **options)
        self.ema = [tensor.detach().clone() for tensor in self.g.values()]
        self.path_mean = torch.zeros((), device=self.ema[0].device)

    def compile(self) -> None:
        """From here on every loss and its backward pass are `torch.compile`'s; the optimisers' own kernels are fused.

        Gradients that are differentiated again are then `torch.func.grad`'s, for `torch.compile` refuses a second
        backward pass through `torch.autograd.grad`.
        """
        self.compiled = True
        for name in ("_fakes", "_d_loss", "_g_loss", "_r1", "_path_length"):
            setattr(self, name, torch.compile(getattr(self, name)))

    def step(self, real: torch.Tensor, lazy_r1: bool = False, path: bool = False) -> None:
        """One step: D, then G, then the lazy penalties whose turn it is, then the average."""
        if self.share:
            fake = self._fakes()
            self._descend(self.d_opt, self.d, self._d_loss(real, fake.detach()))
        else:
            with torch.no_grad():
                fake = self._fakes()
            self._descend(self.d_opt, self.d, self._d_loss(real, fake))
            fake = self._fakes()
        self._freeze(True)
        self._descend(self.g_opt, self.g, self._g_loss(fake))
        self._freeze(False)
        if lazy_r1:
            self._descend(self.d_opt, self.d, self._r1(real))
        if path:
            loss, mean = self._path_length(self.path_mean)
            self.path_mean = mean.detach()
            self._descend(self.g_opt, self.g, loss)
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

    def _d_loss(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        loss = F.softplus(-self._judge(real)).mean() + F.softplus(self._judge(fake)).mean()
        if self.gp:
            mix = torch.rand(len(real), 1, 1, 1, device=real.device)
            norms = (self._slope(self._judge, real + mix * (fake - real)).square().sum((1, 2, 3)) + 1e-12).sqrt()
            loss = loss + self.gp * (norms - 1).square().mean()
        return loss

    def _g_loss(self, fake: torch.Tensor) -> torch.Tensor:
        return F.softplus(-self._judge(fake)).mean()

    def _slope(self, scalars: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Gradient in x of the sum, itself differentiable."""
        if self.compiled:
            return torch.func.grad(lambda x: scalars(x).sum())(x)
        x = x if x.requires_grad else x.detach().requires_grad_(True)
        return torch.autograd.grad(scalars(x).sum(), x, create_graph=True)[0]

    def _r1(self, real: torch.Tensor) -> torch.Tensor:
        return 16 * self.r1 * 0.5 * self._slope(self._judge, real).square().sum((1, 2, 3)).mean()

    def _path_length(self, mean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ws = self.codes(False, max(1, self.batch // 2))

        def projected(ws: torch.Tensor) -> torch.Tensor:
            images = self.images(ws)
            return images * torch.randn_like(images) / (images.shape[2] * images.shape[3]) ** 0.5

        lengths = (self._slope(projected, ws).square().sum(2).mean(1) + 1e-12).sqrt()
        mean = mean + 0.01 * (lengths.mean() - mean)
        return 4 * self.path * (lengths - mean).square().mean(), mean
