"""`pt_inception-2015-12-05-6726825d.pth`: the Inception of the Fréchet distance, from its PyTorch file."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganx.convert.feature_nets import Taker, fold, shapes, variables
from ganx.convert.keymap import Source
from ganx.models.inception import EPSILON, SIDE, Inception, paths


def inception(source: Source) -> tuple[Inception, Any]:
    """Module and variables; each batch norm is folded into its convolution.

    Raises:
      GanxError: a tensor is missing (named), left over, or of another shape.
    """
    module = Inception()
    wanted = shapes(module, (1, SIDE, SIDE, 3))
    taker = Taker(source, "Inception for the Fréchet distance", "Conv2d_1a_3x3.conv.weight")
    leaves: dict[str, np.ndarray] = {}
    for path in paths():
        name, target = ".".join(path), "params/" + "/".join(path)
        shape = wanted[f"{target}/kernel"]
        kernel = taker.kernel(f"{name}.conv.weight", shape)
        folded = fold(kernel, taker.norm(f"{name}.bn", shape[-1]), EPSILON)
        leaves[f"{target}/kernel"], leaves[f"{target}/bias"] = folded
    leaves["params/fc_kernel"] = taker.dense("fc.weight", wanted["params/fc_kernel"])
    leaves["params/fc_bias"] = taker.take("fc.bias", wanted["params/fc_bias"])
    taker.finish()
    return module, variables(leaves)
