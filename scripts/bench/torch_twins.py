"""PyTorch twins of ganx's DCGAN and StyleGAN2: the same nets, from the same parameters, as one writes them there.

A twin is a function of a flat dict of tensors named like ganx's parameters ("layer3/style/kernel"). Activations are
NCHW, in the memory format that the caller gives them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Tensors = dict[str, torch.Tensor]
_SQRT2 = math.sqrt(2)


def tensors(tree: Any, device: str, transposed: tuple[str, ...] = (), channels_last: bool = False) -> Tensors:
    """Tensors from a tree of arrays. 4-D kernels go from HWIO to OIHW, or, where the name starts with one of
    `transposed`, to the rotated IOHW that `conv_transpose2d` takes."""
    return {name: _tensor(name, leaf, device, transposed, channels_last) for name, leaf in _flat("", tree)}


def _flat(prefix: str, tree: Any) -> list[tuple[str, Any]]:
    if not hasattr(tree, "items"):
        return [(prefix[:-1], tree)]
    return [pair for key, value in tree.items() for pair in _flat(f"{prefix}{key}/", value)]


def _tensor(name: str, leaf: Any, device: str, transposed: tuple[str, ...], channels_last: bool) -> torch.Tensor:
    array = np.asarray(leaf, np.float32)
    if array.ndim == 4 and name.endswith("kernel"):
        rotated = name.startswith(transposed) if transposed else False
        array = array[::-1, ::-1].transpose(2, 3, 0, 1) if rotated else array.transpose(3, 2, 0, 1)
    elif array.ndim == 4:
        array = array.transpose(0, 3, 1, 2)
    tensor = torch.tensor(np.ascontiguousarray(array), device=device)
    return tensor.contiguous(memory_format=torch.channels_last) if channels_last and tensor.ndim == 4 else tensor


# -- DCGAN -------------------------------------------------------------------------------------------------


def _batch_norm(p: Tensors, s: Tensors, name: str, x: torch.Tensor, train: bool = True) -> torch.Tensor:
    mean, var = s[f"batch_stats/{name}/norm/mean"], s[f"batch_stats/{name}/norm/var"]
    return F.batch_norm(x, mean, var, p[f"{name}/norm/scale"], p[f"{name}/norm/bias"], train, momentum=0.1)


def dcgan_transposed(params: Any) -> tuple[str, ...]:
    """Stages of a DCGAN generator whose kernels are transposed convolutions: all."""
    return tuple(params)


def dcgan_generator(p: Tensors, s: Tensors, z: torch.Tensor, train: bool = True) -> torch.Tensor:
    """Images `[n, 3, H, W]` for latents `[n, latent]`."""
    start = p["s0/kernel"]  # a transposed convolution of one place is a product; as one, TorchInductor 2.11 stops at it
    x = (z @ start.flatten(1)).view(len(z), *start.shape[1:])
    x = F.relu(_batch_norm(p, s, "s0", x, train))
    i = 1
    while f"s{i}/kernel" in p:
        x = F.relu(_batch_norm(p, s, f"s{i}", F.conv_transpose2d(x, p[f"s{i}/kernel"], stride=2, padding=1), train))
        i += 1
    return torch.tanh(F.conv_transpose2d(x, p["rgb/kernel"], stride=2, padding=1))


def dcgan_discriminator(p: Tensors, s: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Logits `[n]` in training mode; with or without batch norm, as the parameters say."""
    i = 0
    while f"conv{i}/kernel" in p:
        x = F.conv2d(x, p[f"conv{i}/kernel"], p.get(f"conv{i}/bias"), stride=2, padding=1)
        if f"conv{i}/norm/scale" in p:
            x = _batch_norm(p, s, f"conv{i}", x)
        x = F.leaky_relu(x, 0.2)
        i += 1
    return F.conv2d(x, p["kernel"]).flatten()


# -- StyleGAN2 ---------------------------------------------------------------------------------------------


def _lrelu(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, 0.2) * _SQRT2


def _dense(p: Tensors, name: str, x: torch.Tensor, lr_mul: float = 1.0) -> torch.Tensor:
    kernel = p[f"{name}/kernel"]
    return torch.addmm(p[f"{name}/bias"] * lr_mul, x, kernel * (lr_mul / math.sqrt(len(kernel))))


def _filter(channels: int, gain: float, like: torch.Tensor) -> torch.Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], device=like.device)
    return (torch.outer(taps, taps) * (gain / 64)).expand(channels, 1, 4, 4)


def _fir(x: torch.Tensor, pad: int, gain: float = 1.0, stride: int = 1) -> torch.Tensor:
    channels = x.shape[1]
    return F.conv2d(x, _filter(channels, gain, x), stride=stride, padding=pad, groups=channels)


def _fir_up(x: torch.Tensor) -> torch.Tensor:
    channels = x.shape[1]
    return F.conv_transpose2d(x, _filter(channels, 4.0, x), stride=2, padding=1, groups=channels)


def _modulated(
    x: torch.Tensor, kernel: torch.Tensor, styles: torch.Tensor, up: bool = False, demodulate: bool = True
) -> torch.Tensor:
    x = x * styles[:, :, None, None]
    if up:
        x = _fir(F.conv_transpose2d(x, kernel, stride=2), 1, 4.0)
    else:
        x = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)
    if demodulate:
        inputs = 0 if up else 1
        norms = styles.square() @ kernel.square().sum((2, 3)).movedim(inputs, 0)
        x = x * torch.rsqrt(norms + 1e-8)[:, :, None, None]
    return x


def stylegan2_transposed(params: Any) -> tuple[str, ...]:
    """Layers of a StyleGAN2 generator that double the size."""
    return tuple(f"layer{i}/" for i in range(len(params)) if i % 2 and f"layer{i}" in params)


def stylegan2_mapping(p: Tensors, s: Tensors, z: torch.Tensor, train: bool) -> torch.Tensor:
    """Style codes `[n, d]`; training moves the running mean."""
    x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
    i = 0
    while f"map/fc{i}/kernel" in p:
        x = _lrelu(_dense(p, f"map/fc{i}", x, 0.01))
        i += 1
    if train:
        with torch.no_grad():
            s["averages/map/w_avg"].lerp_(x.detach().mean(0), 0.005)
    return x


def stylegan2_synthesis(p: Tensors, s: Tensors, ws: torch.Tensor, train: bool = True) -> torch.Tensor:
    """Images from style codes `[n, layers, d]`; fresh noise in every layer when training, else the stored one."""
    x = p["layer0/const"].expand(len(ws), -1, -1, -1)
    image, layer = None, 0
    while f"layer{layer}/kernel" in p:
        name, up = f"layer{layer}", layer % 2 == 1
        x = _modulated(x, p[f"{name}/kernel"], _dense(p, f"{name}/style", ws[:, layer]), up)
        stored = s[f"constants/{name}/noise"]
        noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device) if train else stored
        x = _lrelu(x + noise * p[f"{name}/noise_strength"] + p[f"{name}/bias"][:, None, None])
        if not up:
            name = f"rgb{layer // 2}"
            kernel = p[f"{name}/kernel"]
            styles = _dense(p, f"{name}/style", ws[:, layer + 1]) / math.sqrt(kernel.shape[1])
            rgb = _modulated(x, kernel, styles, demodulate=False) + p[f"{name}/bias"][:, None, None]
            image = rgb if image is None else _fir_up(image) + rgb
        layer += 1
    return image


def _conv(p: Tensors, name: str, x: torch.Tensor, down: bool = False) -> torch.Tensor:
    kernel = p[f"{name}/kernel"]
    kernel = kernel / math.sqrt(kernel[0].numel())
    if down:
        return F.conv2d(_fir(x, 2), kernel, p.get(f"{name}/bias"), stride=2)
    return F.conv2d(x, kernel, p.get(f"{name}/bias"), padding=kernel.shape[-1] // 2)


def _stddev(x: torch.Tensor, group: int = 4) -> torch.Tensor:
    n, c, h, w = x.shape
    group = min(group, n)
    y = x.reshape(group, n // group, c, h, w)
    y = (y.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    return torch.cat([x, y.repeat(group)[:, None, None, None].expand(n, 1, h, w)], 1)


def stylegan2_discriminator(p: Tensors, s: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Logits `[n]`."""
    del s
    x = _lrelu(_conv(p, "fromrgb", x))
    resolution = x.shape[-1]
    while resolution > 4:
        name = f"b{resolution}"
        skip = _conv(p, f"{name}/skip", _fir(x, 1, stride=2))
        x = _lrelu(_conv(p, f"{name}/conv0", x))
        x = (_lrelu(_conv(p, f"{name}/conv1", x, down=True)) + skip) * math.sqrt(0.5)
        resolution //= 2
    x = _lrelu(_conv(p, "b4/conv", _stddev(x)))
    x = _lrelu(_dense(p, "b4/fc", x.permute(0, 2, 3, 1).flatten(1)))
    return _dense(p, "b4/out", x)[:, 0]
