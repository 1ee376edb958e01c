"""VGG-16 and LPIPS from their public PyTorch files."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganx.convert.feature_nets import Taker, shapes, variables
from ganx.convert.keymap import Source
from ganx.errors import GanxError
from ganx.models.lpips import Lpips
from ganx.models.vgg import SIDE, STAGES, Vgg16, names

_FLATTENED = 7  # side of the map that the first dense layer reads
_DENSE = {"fc6": "classifier.0", "fc7": "classifier.3", "logits": "classifier.6"}


def vgg16(source: Source, head: bool = True) -> tuple[Vgg16, Any]:
    """Module and variables from `vgg16-397923af.pth`; without `head` the convolutions alone.

    Raises:
      GanxError: a tensor is missing (named), left over, or of another shape.
    """
    module = Vgg16(head)
    wanted = shapes(module, (1, SIDE, SIDE, 3))
    taker = Taker(source, "VGG-16", "features.0.weight")
    leaves = _convolutions(taker, wanted, "params")
    if head:
        for ours, theirs in _DENSE.items():
            kernel = taker.dense(f"{theirs}.weight", wanted[f"params/{ours}_kernel"])
            leaves[f"params/{ours}_kernel"] = _rows_in_hwc(kernel) if ours == "fc6" else kernel
            leaves[f"params/{ours}_bias"] = taker.take(f"{theirs}.bias", wanted[f"params/{ours}_bias"])
    taker.finish(None if head else r"^classifier\.")
    return module, variables(leaves)


def lpips(vgg: Source, heads: Source, smooth: bool = False) -> tuple[Lpips, Any]:
    """Module and variables from VGG-16's file and the linear weights that the authors publish (`vgg.pth`).

    Raises:
      GanxError: a tensor is missing (named), left over, of another shape, or a weight is negative.
    """
    module = Lpips(smooth)
    wanted = shapes(module, (1, 32, 32, 3), (1, 32, 32, 3))
    taker = Taker(vgg, "VGG-16", "features.0.weight")
    leaves = _convolutions(taker, wanted, "params/vgg")
    taker.finish(r"^classifier\.")
    linear = Taker(heads, "set of LPIPS weights for VGG-16", "lin0.model.1.weight")
    for depth, widths in enumerate(STAGES):
        weights = linear.take(f"lin{depth}.model.1.weight", (1, widths[-1], 1, 1))
        if (weights < 0).any():
            raise GanxError(f"lin{depth} holds negative weights; get the file of LPIPS version 0.1 for VGG")
        leaves[f"params/lin{depth}"] = weights.reshape(-1)
    linear.finish()
    return module, variables(leaves)


def _convolutions(taker: Taker, wanted: dict[str, tuple[int, ...]], root: str) -> dict[str, np.ndarray]:
    leaves: dict[str, np.ndarray] = {}
    for name, place in zip(names(), _places(), strict=True):
        leaves[f"{root}/{name}_kernel"] = taker.kernel(f"features.{place}.weight", wanted[f"{root}/{name}_kernel"])
        leaves[f"{root}/{name}_bias"] = taker.take(f"features.{place}.bias", wanted[f"{root}/{name}_bias"])
    return leaves


def _places() -> list[int]:
    """Numbers of the convolutions in the file's sequence: a ReLU follows each, a pool each stage."""
    places, here = [], 0
    for widths in STAGES:
        places += [here + 2 * i for i in range(len(widths))]
        here += 2 * len(widths) + 1
    return places


def _rows_in_hwc(kernel: np.ndarray) -> np.ndarray:
    """Rows of a dense kernel from C,H,W to H,W,C order."""
    shape = (-1, _FLATTENED, _FLATTENED, kernel.shape[-1])
    return kernel.reshape(shape).transpose(1, 2, 0, 3).reshape(kernel.shape)
