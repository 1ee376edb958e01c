"""Feature networks by name, each a pure function from uint8 images to features.

inception   InceptionV3 of 2015: "FID", "KID", "IS" (needs a public weight file)
vgg16       second dense layer of VGG-16: precision and recall as published (needs a public weight file)
facenet     a recogniser of faces, 512 numbers of length 1: "FD-facenet", and identity (needs a public weight file)
faces       a network of ganx's own, trained on the faces world: distances in it are called "FD-faces", never FID
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ganx.arrays import read_npz
from ganx.convert import read_source
from ganx.convert.facenet_torch import facenet
from ganx.convert.inception_torch import inception
from ganx.convert.keymap import nested
from ganx.convert.vgg_torch import lpips, vgg16
from ganx.errors import GanxError, unknown
from ganx.metrics import weights
from ganx.metrics.presets import Preset, prepare, preset
from ganx.metrics.resize import resize
from ganx.models.facenet import SIDE as FACENET_SIDE
from ganx.models.lpips import Lpips
from ganx.models.worldnet import SIDE as FACES_SIDE
from ganx.models.worldnet import WorldNet

NAMES = ("inception", "vgg16", "facenet", "faces")
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_FACES = Path(__file__).parent / "faces32.npz"


@dataclasses.dataclass(frozen=True)
class FeatureNet:
    """A network that metrics look through.

    Attributes:
      name: "inception", "vgg16", "facenet", "faces", or what a user calls it.
      frechet: what a Fréchet distance in it is called: "FID" only for Inception.
      layer: the output that distances are measured in.
      logits: the output for the Inception score; "" where there is none.
      sha256: of the weight file.
      apply: `(variables, images uint8 [n, h, w, 1 or 3], preset) -> {name: [n, d]}`; pure and traceable.
      variables: what `apply` takes.
    """

    name: str
    frechet: str
    layer: str
    logits: str
    sha256: str
    apply: Callable[[Any, jax.Array, Preset], dict[str, jax.Array]]
    variables: Any


def load_features(name: str = "faces", path: str | os.PathLike[str] | None = None) -> FeatureNet:
    """A feature network by name.

    Args:
      name: "inception", "vgg16", "facenet" or "faces".
      path: its public weight file; by default looked for in `ganx.metrics.weights.folder()`.

    Raises:
      GanxError: there is no such network, or its weights are missing (with the exact file to get) or damaged.
    """
    if name not in NAMES:
        raise unknown("feature network", name, NAMES)
    return _faces(path) if name == "faces" else _public(name, weights.find(name, path))


def load_lpips(
    vgg: str | os.PathLike[str] | None = None, heads: str | os.PathLike[str] | None = None, smooth: bool = False
) -> tuple[Lpips, Any]:
    """Module and variables of LPIPS from its two public files; errors as for `load_features`."""
    trunk, linear = weights.find("vgg16", vgg), weights.find("lpips", heads)
    return lpips(read_source(trunk), read_source(linear), smooth)


def load_recogniser(path: str | os.PathLike[str] | None = None) -> Callable[[jax.Array], jax.Array]:
    """FaceNet for `ganx.metrics.identity`: images `[n, h, w, 1 or 3]` in [-1, 1] to embeddings `[n, 512]` of length 1.

    Pure and traceable; pictures are brought to 160 pixels. Errors as for `load_features`.
    """
    net = load_features("facenet", path)

    def embed(images: jax.Array) -> jax.Array:
        return net.apply(net.variables, (images + 1.0) * 127.5, preset("tf"))[net.layer]

    return embed


def user_features(name: str, apply: Callable[[jax.Array], jax.Array], frechet: str | None = None) -> FeatureNet:
    """A feature network of one's own: `apply(images uint8 [n, h, w, c]) -> [n, d]`, pure and traceable."""

    def run(_: Any, images: jax.Array, preset: Preset) -> dict[str, jax.Array]:
        return {"features": apply(images).astype(jnp.float32)}

    return FeatureNet(name, frechet or f"FD-{name}", "features", "", "", run, {})


def _public(name: str, path: Path) -> FeatureNet:
    source, digest = read_source(path), weights.sha256(path)
    try:
        if name == "inception":
            module, variables = inception(source)
            run = functools.partial(_run_inception, module)
            return FeatureNet(name, "FID", "2048", "logits_unbiased", digest, run, variables)
        if name == "facenet":
            face, variables = facenet(source)
            run = functools.partial(_run_facenet, face)
            return FeatureNet(name, "FD-facenet", "embedding", "", digest, run, variables)
        head, variables = vgg16(source)
        return FeatureNet(name, "FD-vgg16", "fc7", "", digest, functools.partial(_run_vgg, head), variables)
    except GanxError as error:
        raise GanxError(f"{path}: {error}") from error


def _faces(path: str | os.PathLike[str] | None) -> FeatureNet:
    path = _FACES if path is None else Path(path)
    try:
        arrays = read_npz(path, "network for FD-faces", "install ganx again")
        leaves = {name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()}
        module = WorldNet((leaves["params/logits_bias"].size,), leaves["params/numbers_bias"].size)
    except KeyError as error:
        raise GanxError(f"{path} holds no network for FD-faces ({type(error).__name__}); install ganx again") from None
    run = functools.partial(_run_faces, module)
    return FeatureNet("faces", "FD-faces", "features", "", weights.sha256(path), run, nested(leaves))


def _run_inception(module: Any, variables: Any, images: jax.Array, preset: Preset) -> dict[str, jax.Array]:
    with jax.default_matmul_precision("highest"):
        return module.apply(variables, prepare(images, preset, 299))


def _run_vgg(module: Any, variables: Any, images: jax.Array, preset: Preset) -> dict[str, jax.Array]:
    """Resized as the preset says, but normalised as VGG's own weights want it."""
    pixels = prepare(images, dataclasses.replace(preset, mapping="unit"), 224) / 2 + 0.5
    with jax.default_matmul_precision("highest"):
        found = module.apply(variables, (pixels - jnp.asarray(IMAGENET_MEAN)) / jnp.asarray(IMAGENET_DEVIATION))
    return {name: found[name] for name in ("fc7", "logits")}


def _run_faces(module: Any, variables: Any, images: jax.Array, preset: Preset) -> dict[str, jax.Array]:
    """Resized with antialiasing whatever the preset: the network was trained so."""
    x = _coloured(images, FACES_SIDE) * (2 / 255) - 1.0
    with jax.default_matmul_precision("highest"):
        return {"features": module.apply(variables, x)["features"]}


def _run_facenet(module: Any, variables: Any, images: jax.Array, preset: Preset) -> dict[str, jax.Array]:
    """Resized with antialiasing whatever the preset: it is no network of the Fréchet distance's references."""
    x = (_coloured(images, FACENET_SIDE) - 127.5) / 128.0
    with jax.default_matmul_precision("highest"):
        return {"embedding": module.apply(variables, x)}


def _coloured(images: jax.Array, side: int) -> jax.Array:
    """Three channels, `side` pixels, the scale kept."""
    x = jnp.repeat(images, 3, -1) if images.shape[-1] == 1 else images
    return resize(x, (side, side), "torch-aa")
