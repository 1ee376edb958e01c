"""One pickle and nothing else: NVIDIA's `.pkl` files, from PyTorch and from TensorFlow, and dicts of numpy arrays."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ganx.convert import torch_legacy
from ganx.convert.allowlist import globals_for
from ganx.convert.bytestream import ByteStream, mapped
from ganx.convert.flatten import flatten
from ganx.convert.keymap import Source
from ganx.convert.modules import TfNetwork
from ganx.convert.pickles import Budget, Machine

NAME = "NVIDIA .pkl"
TF_NETWORKS = ("G", "D", "Gs")  # the generator, the discriminator, the generator's moving average


def recognises(path: Path, head: bytes) -> bool:
    """Whether it starts like a binary pickle, a harmful one included: the machine then says what it names."""
    return head[:1] == b"\x80" and head[1:2] <= b"\x05"


def read(path: Path) -> Source:
    """Its tensors by dotted name, such as `G_ema.synthesis.b4.const`, and its facts; views on the file's bytes.

    Networks of a TensorFlow pickle stand under `G`, `D` and `Gs`, their variables under names with slashes:
    `Gs.synthesis/4x4/Const/const`.
    """
    raw = mapped(path)
    budget = Budget.for_file(len(raw))
    names = globals_for(functools.partial(torch_legacy.load_nested, budget))
    tree = Machine(names, budget).run(ByteStream(raw))
    if tree == torch_legacy.MAGIC:
        return torch_legacy.read(path)
    return flatten(_named(tree), limit=len(raw))


def _named(tree: Any) -> Any:
    if isinstance(tree, TfNetwork):
        return {"Gs": tree}
    if isinstance(tree, tuple | list) and len(tree) == 3 and all(isinstance(net, TfNetwork) for net in tree):
        return dict(zip(TF_NETWORKS, tree, strict=True))
    return tree
