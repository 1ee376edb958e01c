"""`20180402-114759-vggface2.pt`: a face recogniser, from the file that facenet-pytorch publishes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganx.convert.feature_nets import Taker, fold, shapes, variables
from ganx.convert.keymap import Source
from ganx.models.facenet import BLOCKS, EPSILON, SIDE, STEM, FaceNet, own


def facenet(source: Source) -> tuple[FaceNet, Any]:
    """Module and variables; each batch norm is folded into what stands before it. The classifier of people is left out.

    Raises:
      GanxError: a tensor is missing (named), left over, or of another shape.
    """
    module = FaceNet()
    wanted = shapes(module, (1, SIDE, SIDE, 3))
    taker = Taker(source, "FaceNet", "conv2d_1a.conv.weight")
    leaves: dict[str, np.ndarray] = {}
    for theirs, ours in _paths():
        shape = wanted[f"{ours}/kernel"]
        kernel = taker.kernel(f"{theirs}.conv.weight", shape)
        folded = fold(kernel, taker.norm(f"{theirs}.bn", shape[-1]), EPSILON)
        leaves[f"{ours}/kernel"], leaves[f"{ours}/bias"] = folded
    for block in BLOCKS:
        if block.scale:
            theirs, ours = f"{block.name}.conv2d", f"params/{own(block.name)}/conv2d"
            shape = wanted[f"{ours}/kernel"]
            leaves[f"{ours}/kernel"] = taker.kernel(f"{theirs}.weight", (1, 1, *shape)).reshape(shape)
            leaves[f"{ours}/bias"] = taker.take(f"{theirs}.bias", wanted[f"{ours}/bias"])
    shape = wanted["params/last/kernel"]
    last = fold(taker.dense("last_linear.weight", shape), taker.norm("last_bn", shape[-1]), EPSILON)
    leaves["params/last/kernel"], leaves["params/last/bias"] = last
    taker.finish(r"^logits\.")
    return module, variables(leaves)


def _paths() -> list[tuple[str, str]]:
    """Every convolution with a batch norm: its name in the file, and its path here."""
    inner = [(block.name, unit.name) for block in BLOCKS for branch in block.branches for unit in branch]
    return [(unit.name, f"params/{unit.name}") for unit in STEM] + [
        (f"{block}.{unit}", f"params/{own(block)}/{own(unit)}") for block, unit in inner
    ]
