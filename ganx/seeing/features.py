"""Feature nets for the loss of an inversion: VGG-16 where its weights are at hand, else what was trained here."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from etils import epath

from ganx.convert import read_source
from ganx.convert.vgg_torch import vgg16
from ganx.models import layers

_DEPTHS = (2, 2, 3, 2)  # convolutions of each stage as far as relu4_2


def vgg_features(path: epath.PathLike) -> Any:
    """relu4_2 of VGG-16, what the authors' code compares; `path` is torchvision's `vgg16-397923af.pth`.

    Takes images in [-1, 1] as they are, without ImageNet's mean and deviation, as that code does; grey ones
    three times.
    """
    _, variables = vgg16(read_source(path), head=False)
    return of_variables(variables)


def of_variables(variables: Any) -> Any:
    """The same for variables of `ganx.models.vgg.Vgg16`."""
    return jax.tree_util.Partial(_relu4_2, variables["params"])


def _relu4_2(params: Any, images: jax.Array) -> jax.Array:
    x = jnp.broadcast_to(images, (*images.shape[:-1], 3))
    for stage, depth in enumerate(_DEPTHS, 1):
        if stage > 1:
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        for i in range(1, depth + 1):
            name = f"conv{stage}_{i}"
            x = jax.nn.relu(layers.conv(x, params[f"{name}_kernel"]) + params[f"{name}_bias"])
    return x
