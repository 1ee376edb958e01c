"""A PyTorch ModularGAN on ganx's parameters, trained as one writes it there: one Adam for each module."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
import torch_twins as twins

Tensors = dict[str, torch.Tensor]


def _norm(p: Tensors, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.instance_norm(x, weight=p[f"{name}/scale"], bias=p[f"{name}/bias"], eps=1e-5)


def encode(p: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Images to features."""
    for i, (stride, padding) in enumerate(((1, 3), (2, 1), (2, 1))):
        x = F.conv2d(x, p[f"encoder/conv{i}/kernel"], stride=stride, padding=padding)
        x = F.relu(_norm(p, f"encoder/norm{i}", x))
    return x


def transform(p: Tensors, name: str, f: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
    """Features with one attribute changed."""
    plane = code[:, :, None, None].expand(-1, -1, *f.shape[2:])
    x = F.conv2d(torch.cat([f, plane], 1), p[f"to_{name}/conv/kernel"], padding=1)
    x = F.relu(_norm(p, f"to_{name}/norm", x))
    i = 0
    while f"to_{name}/block{i}/conv0/kernel" in p:
        block = f"to_{name}/block{i}"
        y = F.relu(_norm(p, f"{block}/norm0", F.conv2d(x, p[f"{block}/conv0/kernel"], padding=1)))
        x = x + _norm(p, f"{block}/norm1", F.conv2d(y, p[f"{block}/conv1/kernel"], padding=1))
        i += 1
    gate = 0.5 * (1 + torch.tanh(F.conv2d(x, p[f"to_{name}/mask/kernel"], padding=3)))
    return gate * x + (1 - gate) * f


def reconstruct(p: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Features to images."""
    for i in range(2):
        x = F.conv_transpose2d(x, p[f"reconstructor/up{i}/kernel"], stride=2, padding=1)
        x = F.relu(_norm(p, f"reconstructor/norm{i}", x))
    return torch.tanh(F.conv2d(x, p["reconstructor/rgb/kernel"], padding=3))


def judge(p: Tensors, name: str, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Patch scores and logits of one discriminator."""
    i = 0
    while f"of_{name}/conv{i}/kernel" in p:
        x = F.conv2d(x, p[f"of_{name}/conv{i}/kernel"], p[f"of_{name}/conv{i}/bias"], stride=2, padding=1)
        x = F.leaky_relu(x, 0.01)
        i += 1
    scores = F.conv2d(x, p[f"heads_{name}/src/kernel"], padding=1)
    return scores, F.conv2d(x, p[f"heads_{name}/cls/kernel"]).flatten(1)


class TorchModular:
    """One superstep: `d_steps` updates of the discriminators, then one of all modules.

    Args:
      g, d: parameters by name, as `torch_twins.tensors` reads them.
      attributes: ((name, values), ...).
      lr: of every Adam.
    """

    def __init__(self, g: Tensors, d: Tensors, attributes: Any, d_steps: int, lr: float):
        self.g, self.d, self._attributes, self._d_steps = g, d, attributes, d_steps
        for tensor in (*g.values(), *d.values()):
            tensor.requires_grad_(True)
        self._g_opts = [self._adam(g, part, lr) for part in dict.fromkeys(name.split("/")[0] for name in g)]
        self._d_opts = [self._adam(d, name, lr) for name, _ in attributes]

    def _adam(self, tensors: Tensors, part: str, lr: float) -> torch.optim.Optimizer:
        own = [t for name, t in tensors.items() if name.split("/")[0] in (part, f"of_{part}", f"heads_{part}")]
        return torch.optim.Adam(own, lr=lr, betas=(0.5, 0.999))

    def step(self, images: torch.Tensor, values: torch.Tensor) -> None:
        """`images` `[d_steps n, 3, H, W]`, `values` int64 `[d_steps n, attributes]`."""
        parts = list(zip(images.chunk(self._d_steps), values.chunk(self._d_steps), strict=True))
        for x, known in parts:
            with torch.no_grad():
                f = encode(self.g, x)
                fakes = [reconstruct(self.g, h) for h in self._changed(f, self._targets(known))]
            self._apply(self._d_opts, self._d_loss(x, fakes, known))
        self._apply(self._g_opts, self._g_loss(*parts[-1]))

    def _apply(self, optimisers: list[torch.optim.Optimizer], loss: torch.Tensor) -> None:
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()

    def _targets(self, known: torch.Tensor) -> torch.Tensor:
        counts = torch.tensor([len(v) for _, v in self._attributes], device=known.device)
        return (known + 1 + (torch.rand(known.shape, device=known.device) * (counts - 1)).long()) % counts

    def _changed(self, f: torch.Tensor, target: torch.Tensor) -> list[torch.Tensor]:
        return [
            transform(self.g, name, f, self.code(target[:, i], len(values)))
            for i, (name, values) in enumerate(self._attributes)
        ]

    def code(self, value: torch.Tensor, count: int) -> torch.Tensor:
        """What a transformer takes for values `[n]`."""
        return value[:, None].float() if count == 2 else F.one_hot(value, count).float()

    def _named(self, logits: torch.Tensor, value: torch.Tensor, count: int) -> torch.Tensor:
        if count == 2:
            return F.binary_cross_entropy_with_logits(logits[:, 0], value.float())
        return F.cross_entropy(logits, value)

    def _d_loss(self, x: torch.Tensor, fakes: list[torch.Tensor], known: torch.Tensor) -> torch.Tensor:
        loss = x.new_zeros(())
        for i, ((name, values), fake) in enumerate(zip(self._attributes, fakes, strict=True)):
            real, logits = judge(self.d, name, x)
            e = torch.rand(len(x), 1, 1, 1, device=x.device)
            mixed = (e * x + (1 - e) * fake).requires_grad_(True)
            (slope,) = torch.autograd.grad(judge(self.d, name, mixed)[0].sum(), mixed, create_graph=True)
            penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
            score = judge(self.d, name, fake)[0].mean() - real.mean()
            loss = loss + score + 10 * penalty + self._named(logits, known[:, i], len(values))
        return loss

    def _g_loss(self, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        target, f = self._targets(known), encode(self.g, x)
        loss = 10 * (reconstruct(self.g, f) - x).abs().mean()
        for i, ((name, values), h) in enumerate(zip(self._attributes, self._changed(f, target), strict=True)):
            fake = reconstruct(self.g, h)
            scores, logits = judge(self.d, name, fake)
            loss = loss - scores.mean() + self._named(logits, target[:, i], len(values))
            loss = loss + 10 * (h - encode(self.g, fake)).abs().mean()
        return loss


def twin(state: Any, attributes: Any, d_steps: int, lr: float, device: str, last: bool) -> TorchModular:
    """The PyTorch side on the parameters of a ganx state."""
    read = {"device": device, "channels_last": last}
    g = twins.tensors(state.g.params, transposed=("reconstructor/up",), **read)
    return TorchModular(g, twins.tensors(state.d.params, **read), attributes, d_steps, lr)
