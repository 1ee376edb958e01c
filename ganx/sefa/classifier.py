"""A ResNet classifier from a PyTorch file as a predictor, as the authors' ResNet-50 of CelebA's attributes was."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp

from ganx.convert import read_source
from ganx.convert.resnet_torch import resnet
from ganx.errors import GanxError, unknown
from ganx.metrics.features import IMAGENET_DEVIATION, IMAGENET_MEAN
from ganx.metrics.resize import resize
from ganx.sefa.predictors import Predictor

OUTPUTS = ("sigmoid", "pairs", "softmax", "logits")
_OPTIONS = {"names": "", "outputs": "sigmoid", "size": "224"}


def classifier_predictor(
    path: str | Path, names: tuple[str, ...] = (), outputs: str = "sigmoid", size: int = 224
) -> Predictor:
    """Scores of a ResNet-18, -34 or -50 whose state dict was saved by PyTorch.

    Pictures are brought to `size` as torchvision does (bilinear, antialiased), grey ones made three-coloured, and
    normalised by ImageNet's means and deviations.

    Args:
      path: a file of tensors under torchvision's names; nothing in it is executed.
      names: of the scores, in the order of the file's outputs; numbers if none are given.
      outputs: "sigmoid", each output is the logit of an attribute; "pairs", each two are, no before yes, as in the
        multi-task network of Shen et al.; "softmax", all are values of one attribute; "logits", as they are.
      size: side of the pictures that the network was trained on.

    Raises:
      GanxError: no such file, no ResNet, or another number of names than it has outputs.
    """
    if outputs not in OUTPUTS:
        raise unknown("reading of outputs", outputs, OUTPUTS)
    if not Path(path).is_file():
        raise GanxError(f"no file {path}; give the state dict of a ResNet, saved by PyTorch")
    module, variables = resnet(read_source(path))
    count = module.classes // 2 if outputs == "pairs" else module.classes
    if outputs == "pairs" and module.classes % 2:
        raise GanxError(f"{path} has {module.classes} outputs, which are no pairs; say outputs=sigmoid or softmax")
    names = names or tuple(f"output {i}" for i in range(count))
    if len(names) != count or len(set(names)) != count:
        raise GanxError(f"{path} has {count} scores; name each once, such as names=smile,age, not {len(set(names))}")

    def score(images: jax.Array) -> jax.Array:
        x = jnp.clip(images, -1, 1) / 2 + 0.5
        x = jnp.repeat(x, 3, -1) if x.shape[-1] == 1 else x
        x = (resize(x, (size, size), "torch-aa") - jnp.array(IMAGENET_MEAN)) / jnp.array(IMAGENET_DEVIATION)
        found = cast(dict[str, jax.Array], module.apply(variables, x))
        return _read(found["logits"], outputs)

    return Predictor(names, score, side=size)


def find_classifier(text: str) -> Predictor:
    """The predictor of "resnet:FILE?names=smile,age&outputs=pairs&size=224"; options as for `classifier_predictor`."""
    path, _, query = text.removeprefix("resnet:").partition("?")
    options = dict(_OPTIONS)
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name not in options:
            raise unknown(f"option of {text}", name, options)
        options[name] = value
    if not (options["size"].isdecimal() and 16 <= int(options["size"]) <= 1024):
        raise GanxError(f"size={options['size']} of {text} is no side in pixels; give 16 to 1024")
    names = tuple(name.strip() for name in options["names"].split(",") if name.strip())
    return classifier_predictor(path, names, options["outputs"], int(options["size"]))


def _read(logits: jax.Array, outputs: str) -> jax.Array:
    if outputs == "sigmoid":
        return jax.nn.sigmoid(logits)
    if outputs == "softmax":
        return jax.nn.softmax(logits)
    if outputs == "pairs":
        return jax.nn.sigmoid(logits[:, 1::2] - logits[:, ::2])
    return logits
