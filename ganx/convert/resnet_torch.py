"""ResNet-18, -34 and -50 from their public PyTorch files, or from a classifier of that shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganx.convert.feature_nets import Taker, shapes, variables
from ganx.convert.keymap import Source
from ganx.errors import GanxError
from ganx.models.resnet import ResNet, blocks

_EXAMPLE = (1, 64, 64, 3)


def resnet(source: Source) -> tuple[ResNet, Any]:
    """Module and variables; depth and number of classes are read off the file.

    Raises:
      GanxError: a tensor is missing (named), left over, or of another shape.
    """
    taker = Taker(source, "ResNet", "layer1.0.conv1.weight")
    module = ResNet(_depth(taker), _classes(source))
    wanted = shapes(module, _EXAMPLE)
    leaves = _conv_norm(taker, wanted, "stem", "conv1", "bn1")
    for name, _, _, project in blocks(module.depth):
        theirs = name.replace("_", ".")
        for i in range(3 if module.depth == 50 else 2):
            leaves |= _conv_norm(taker, wanted, f"{name}/conv{i + 1}", f"{theirs}.conv{i + 1}", f"{theirs}.bn{i + 1}")
        if project:
            leaves |= _conv_norm(taker, wanted, f"{name}/shortcut", f"{theirs}.downsample.0", f"{theirs}.downsample.1")
    leaves["params/fc_kernel"] = taker.dense("fc.weight", wanted["params/fc_kernel"])
    leaves["params/fc_bias"] = taker.take("fc.bias", wanted["params/fc_bias"])
    taker.finish()
    return module, variables(leaves)


def _conv_norm(
    taker: Taker, wanted: dict[str, tuple[int, ...]], ours: str, conv: str, norm: str
) -> dict[str, np.ndarray]:
    shape = wanted[f"params/{ours}/kernel"]
    scale, bias, mean, var = taker.norm(norm, shape[-1])
    return {
        f"params/{ours}/kernel": taker.kernel(f"{conv}.weight", shape),
        f"params/{ours}/norm/scale": scale,
        f"params/{ours}/norm/bias": bias,
        f"batch_stats/{ours}/norm/mean": mean,
        f"batch_stats/{ours}/norm/var": var,
    }


def _depth(taker: Taker) -> int:
    if taker.has("layer1.0.conv3.weight"):
        return 50
    return 34 if taker.has("layer1.2.conv1.weight") else 18


def _classes(source: Source) -> int:
    found = [
        array.shape for name, array in source.tensors.items() if name == "fc.weight" or name.endswith(".fc.weight")
    ]
    if len(found) != 1 or len(found[0]) != 2:
        raise GanxError("this is no ResNet classifier: it has no last layer named 'fc'; give the whole state dict")
    return found[0][0]
