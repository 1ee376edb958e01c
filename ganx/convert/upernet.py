"""The published weights of UPerNet (`upp-resnet50-upernet`): encoder and decoder state dicts to variables of ganx."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganx.convert.read import read_tensors
from ganx.errors import GanxError
from ganx.models.upernet import BLOCKS, POOLS, UPerNet
from ganx.segmenters.upernet import UPerNetSegmenter, Vocabulary

Place = tuple[tuple[str, ...], str, str | None]
"""A module's path, the key of its convolution, and the key of its batch normalisation (None: it has a bias)."""

HEADS = ("scene", "object", "part", "material")
UNUSED = re.compile(r"(num_batches_tracked$|^fc\.)")


def encoder_places() -> Iterator[Place]:
    """Where each layer of the encoder goes."""
    for i in (1, 2, 3):
        yield (f"stem{i}",), f"conv{i}", f"bn{i}"
    for stage, blocks in enumerate(BLOCKS, 1):
        for block in range(blocks):
            theirs, ours = f"layer{stage}.{block}", f"layer{stage}_{block}"
            for i in (1, 2, 3):
                yield (ours, f"conv{i}"), f"{theirs}.conv{i}", f"{theirs}.bn{i}"
            if not block:
                yield (ours, "downsample"), f"{theirs}.downsample.0", f"{theirs}.downsample.1"


def decoder_places(heads: tuple[str, ...] = HEADS) -> Iterator[Place]:
    """Where each layer of the decoder goes."""
    for i in range(len(POOLS)):
        yield (f"ppm{i}",), f"ppm_conv.{i}.0", f"ppm_conv.{i}.1"
    yield ("ppm_last",), "ppm_last_conv.0", "ppm_last_conv.1"
    for i in range(3):
        yield (f"fpn_in{i}",), f"fpn_in.{i}.0", f"fpn_in.{i}.1"
        yield (f"fpn_out{i}",), f"fpn_out.{i}.0.0", f"fpn_out.{i}.0.1"
    yield ("fusion",), "conv_fusion.0", "conv_fusion.1"
    for head in heads:
        yield (f"{head}_conv",), f"{head}_head.0.0", f"{head}_head.0.1"
        yield (f"{head}_out",), f"{head}_head.{2 if head == 'scene' else 1}", None


def keys(place: Place) -> dict[str, tuple[str, tuple[str, ...]]]:
    """For every key of a layer the collection and the path of its array."""
    path, conv, norm = place
    found = {f"{conv}.weight": ("params", (*path, "kernel"))}
    if norm is None:
        return found | {f"{conv}.bias": ("params", (*path, "bias"))}
    found |= {f"{norm}.{a}": ("params", (*path, "norm", b)) for a, b in (("weight", "scale"), ("bias", "bias"))}
    stats = (("running_mean", "mean"), ("running_var", "var"))
    return found | {f"{norm}.{a}": ("batch_stats", (*path, "norm", b)) for a, b in stats}


def convert(encoder: Mapping[str, np.ndarray], decoder: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Variables of `UPerNet` from two state dicts.

    Raises:
      GanxError: a key is missing, or one is left over.
    """
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for part, tensors, places in (("encoder", encoder, encoder_places()), ("decoder", decoder, decoder_places())):
        left = {name for name in tensors if not UNUSED.search(name)}
        for place in places:
            for key, (collection, path) in keys(place).items():
                if key not in tensors:
                    raise GanxError(f"UPerNet's {part} lacks {key!r}; give the file of upp-resnet50-upernet")
                value = np.asarray(tensors[key], np.float32)
                _put(variables[collection], (part, *path), value.transpose(2, 3, 1, 0) if value.ndim == 4 else value)
                left.discard(key)
        if left:
            raise GanxError(f"UPerNet's {part} has {len(left)} keys too many, such as {min(left)!r}; it is another net")
    return variables


def _put(tree: dict[str, Any], path: tuple[str, ...], value: np.ndarray) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def load_upernet(folder: str | Path, **options: Any) -> UPerNetSegmenter:
    """The segmenter in a folder with `encoder_epoch_*.pth`, `decoder_epoch_*.pth` and, if it is there, `labels.json`.

    `options` are fields of `UPerNetSegmenter`. Nothing is downloaded and nothing in the files is run.
    """
    folder = Path(folder)
    tensors = {}
    for part in ("encoder", "decoder"):
        files = sorted(folder.glob(f"{part}*.pth"))
        if not files:
            raise GanxError(f"no {part}_epoch_40.pth in {folder}; give the folder of upp-resnet50-upernet")
        tensors[part] = read_tensors(files[-1])
    vocabulary = Vocabulary.published()
    if (folder / "labels.json").exists():
        vocabulary = Vocabulary.from_json(json.loads((folder / "labels.json").read_text()))
    variables = convert(tensors["encoder"], tensors["decoder"])
    channels = tuple((name, variables["params"]["decoder"][f"{name}_out"]["bias"].shape[0]) for name in HEADS)
    return UPerNetSegmenter(UPerNet(channels), variables, vocabulary, **options)
