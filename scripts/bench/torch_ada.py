"""The augmentation pipeline of `ganx.training.ada` as one writes it in PyTorch, with a padded image and grid_sample."""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F

from ganx.training.ada.policy import Policy, get_policy
from ganx.training.ada.wavelets import EXPECTED_POWER, RESAMPLE, filter_bank

Tensor = torch.Tensor


class TorchPipe:
    """Images `[n, 3, h, w]` to images, by a preset of `ganx.training.ada`."""

    def __init__(self, policy: str, device: str) -> None:
        self.policy: Policy = dataclasses.replace(get_policy(policy))
        self.device = device
        self.taps = torch.tensor(RESAMPLE, dtype=torch.float32, device=device)
        self.bank = torch.tensor(filter_bank(), dtype=torch.float32, device=device)
        self.power = torch.tensor(EXPECTED_POWER, dtype=torch.float32, device=device)

    def __call__(self, x: Tensor, p: float) -> Tensor:
        """One random transformation of each image."""
        n, _, height, width = x.shape
        x = self.warp(x, self._inverse(n, height, width, p))
        if self.policy.colourful:
            matrix = self._colour(n, p)
            x = (matrix[:, :3, :3] @ x.flatten(2) + matrix[:, :3, 3:]).view_as(x)
        if self.policy.filter:
            x = self._filter(x, p)
        if self.policy.noise:
            sigma = self._gate(torch.randn(n, device=self.device).abs() * self.policy.noise_std, 0.0, p)
            x = x + torch.randn_like(x) * sigma[:, None, None, None]
        return self._cut(x, p) if self.policy.cutout else x

    def warp(self, x: Tensor, inverse: Tensor) -> Tensor:
        """Pad by the batch's widest margin, double, sample, halve."""
        height, width = x.shape[2:]
        cy, cx = (height - 1) / 2, (width - 1) / 2
        corners = torch.tensor([[-cx, cx, cx, -cx], [-cy, -cy, cy, cy], [1, 1, 1, 1]], device=self.device)
        at = inverse[:, :2] @ corners
        need = torch.stack([-at[:, 0], at[:, 0], -at[:, 1], at[:, 1]]).flatten(1).max(1).values
        most = [width - 1, width - 1, height - 1, height - 1]
        left, right, top, bottom = (
            math.ceil(min(max(v + 6 - (cx if i < 2 else cy), 0), most[i])) for i, v in enumerate(need.tolist())
        )
        x = F.pad(x, [left, right, top, bottom], mode="reflect")
        x = self._doubled(x)
        v = ((torch.arange(2 * height + 10, device=self.device) - height - 4) / 2)[:, None]
        u = (torch.arange(2 * width + 10, device=self.device) - width - 4) / 2
        m = inverse[:, :, :, None, None]
        px = 2 * (m[:, 0, 0] * u + m[:, 0, 1] * v + m[:, 0, 2] + cx + left)
        py = 2 * (m[:, 1, 0] * u + m[:, 1, 1] * v + m[:, 1, 2] + cy + top)
        grid = torch.stack([(2 * px + 1) / x.shape[3] - 1, (2 * py + 1) / x.shape[2] - 1], -1)
        x = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        for axis in (2, 3):
            x = self._along(x, self.taps, axis, stride=2)
        return x

    def _doubled(self, x: Tensor) -> Tensor:
        n, c, height, width = x.shape
        wide = x.new_zeros(n, c, height, 2, width, 2)
        wide[:, :, :, 0, :, 0] = x
        x = F.pad(wide.view(n, c, 2 * height, 2 * width), [6, 5, 6, 5])
        for axis in (2, 3):
            x = self._along(x, 2 * self.taps.flip(0), axis)
        return x

    def _along(self, x: Tensor, taps: Tensor, axis: int, stride: int = 1) -> Tensor:
        n, c, height, width = x.shape
        kernel = taps[None, None, :, None] if axis == 2 else taps[None, None, None]
        step = (stride, 1) if axis == 2 else (1, stride)
        return F.conv2d(x.reshape(n * c, 1, height, width), kernel, stride=step).unflatten(0, (n, c)).squeeze(2)

    def _gate(self, value: Tensor, neutral: float, p: float) -> Tensor:
        fires = torch.rand(len(value), *[1] * (value.ndim - 1), device=self.device) < p
        return torch.where(fires, value, neutral)

    def _uniform(self, n: int, *shape: int) -> Tensor:
        return torch.rand(n, *shape, device=self.device)

    def _normal(self, n: int, *shape: int) -> Tensor:
        return torch.randn(n, *shape, device=self.device)

    def _inverse(self, n: int, height: int, width: int, p: float) -> Tensor:
        flip = 1 - 2 * self._gate((self._uniform(n) * 2).floor(), 0.0, p)
        quarter = self._gate((self._uniform(n) * 4).floor(), 0.0, p) * (math.pi / 2)
        size = torch.tensor([width, height], device=self.device)
        shift = (self._gate((self._uniform(n, 2) * 2 - 1) * self.policy.shift_max, 0.0, p) * size).round()
        zoom = self._gate(torch.exp2(self._normal(n) * self.policy.scale_std), 1.0, p)
        once = 1 - math.sqrt(1 - p)
        before, after = (self._gate((self._uniform(n) * 2 - 1) * math.pi, 0.0, once) for _ in range(2))
        stretch = self._gate(torch.exp2(self._normal(n) * self.policy.stretch_std), 1.0, p)
        drift = self._gate(self._normal(n, 2) * self.policy.drift_std, 0.0, p) * size
        steps = [_scaled(flip, torch.ones_like(flip)), _turned(quarter), _shifted(shift), _scaled(zoom, zoom)]
        steps += [_turned(before), _scaled(stretch, 1 / stretch), _turned(after), _shifted(drift)]
        total = torch.eye(3, device=self.device)
        for step in steps:
            total = total @ step
        return total

    def _colour(self, n: int, p: float) -> Tensor:
        grey = torch.tensor([1.0, 1.0, 1.0, 0.0], device=self.device) / math.sqrt(3)
        along, eye = torch.outer(grey, grey), torch.eye(4, device=self.device)
        across = torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0], device=self.device)) - along
        spin = torch.zeros(4, 4, device=self.device)
        spin[:3, :3] = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=self.device) / math.sqrt(3)
        bright = self._gate(self._normal(n) * self.policy.brightness_std, 0.0, p)
        contrast = self._gate(torch.exp2(self._normal(n) * self.policy.contrast_std), 1.0, p)
        flip = self._gate((self._uniform(n) * 2).floor(), 0.0, p)[:, None, None]
        angle = self._gate((self._uniform(n) * 2 - 1) * math.pi, 0.0, p)[:, None, None]
        strength = self._gate(torch.exp2(self._normal(n) * self.policy.saturation_std), 1.0, p)[:, None, None]
        levels = torch.diag_embed(torch.stack([contrast, contrast, contrast, torch.ones_like(contrast)], -1))
        levels[:, :3, 3] = (bright * contrast)[:, None]
        levels = (eye - 2 * flip * along) @ levels
        chroma = eye + (angle.cos() - 1) * across + angle.sin() * spin
        return (eye + (strength - 1) * across) @ chroma @ levels

    def _filter(self, x: Tensor, p: float) -> Tensor:
        n, c, height, width = x.shape
        gains = torch.ones(n, 4, device=self.device)
        for band in range(4):
            step = torch.ones(n, 4, device=self.device)
            step[:, band] = self._gate(torch.exp2(self._normal(n) * self.policy.filter_std), 1.0, p)
            gains = gains * step / (self.power * step**2).sum(-1, keepdim=True).sqrt()
        kernels = (gains @ self.bank).repeat_interleave(c, 0)[:, None]
        half = self.bank.shape[1] // 2
        x = F.pad(x, [half] * 4, mode="reflect").reshape(1, n * c, height + 2 * half, width + 2 * half)
        x = F.conv2d(F.conv2d(x, kernels[:, :, None], groups=n * c), kernels[..., None], groups=n * c)
        return x.view(n, c, height, width)

    def _cut(self, x: Tensor, p: float) -> Tensor:
        n, _, height, width = x.shape
        centre = self._uniform(n, 2)
        size = self._gate(torch.full((n,), self.policy.cutout_size, device=self.device), 0.0, p)[:, None]
        across, down = (
            (((torch.arange(length, device=self.device) + 0.5) / length - centre[:, k, None]).abs() < size / 2)
            for k, length in ((0, width), (1, height))
        )
        return torch.where((down[:, :, None] & across[:, None])[:, None], 0.0, x)


def _stack(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _scaled(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _stack([[1 / x, zero, zero], [zero, 1 / y, zero], [zero, zero, one]])


def _turned(angle: Tensor) -> Tensor:
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    return _stack([[angle.cos(), -angle.sin(), zero], [angle.sin(), angle.cos(), zero], [zero, zero, one]])


def _shifted(by: Tensor) -> Tensor:
    zero, one = torch.zeros_like(by[:, 0]), torch.ones_like(by[:, 0])
    return _stack([[one, zero, -by[:, 0]], [zero, one, -by[:, 1]], [zero, zero, one]])
