"""A folder of files that belong together: Hugging Face's weights and `config.json`, or one file for each network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ganx.convert.keymap import Source
from ganx.convert.safetensors import unique
from ganx.errors import GanxError

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# What BigGAN-PyTorch saves, each becoming a prefix.
NETWORKS = ("G_ema", "G", "D")
MAX_CONFIG = 1 << 20
MAX_DEPTH = 8


def files(folder: Path) -> dict[str, Path]:
    """The files of a folder that hold weights, by the prefix that their tensors get.

    Raises:
      GanxError: there are none.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return {"": folder / name}
    found = {name: folder / f"{name}.pth" for name in NETWORKS if (folder / f"{name}.pth").is_file()}
    if not found:
        names = ", ".join((*WEIGHTS, *(f"{name}.pth" for name in NETWORKS)))
        raise GanxError(f"this folder holds none of {names}; give the path of a checkpoint file")
    return found


def joined(parts: dict[str, Source], facts: dict[str, Any]) -> Source:
    """One source out of several, each under its prefix, and facts besides."""
    tensors: dict[str, Any] = {}
    for prefix, part in parts.items():
        dot = f"{prefix}." if prefix else ""
        tensors |= {dot + name: array for name, array in part.tensors.items()}
        facts = facts | {dot + name: fact for name, fact in part.facts.items()}
    return Source(tensors, facts)


def config_beside(path: Path) -> dict[str, Any]:
    """The facts in the `config.json` beside Hugging Face weights, as `config.z_dim`; none for other files."""
    config = path.parent / CONFIG
    if path.name not in WEIGHTS or not config.is_file():
        return {}
    if config.stat().st_size > MAX_CONFIG:
        raise GanxError(f"the {CONFIG} beside it is far too large")
    try:
        fields = json.loads(config.read_text(encoding="utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise GanxError(f"the {CONFIG} beside it is damaged; download it again") from None
    if not isinstance(fields, dict):
        raise GanxError(f"the {CONFIG} beside it holds no fields; download it again")
    return dict(_flat("config", fields, 0))


def _flat(prefix: str, fields: dict[str, Any], depth: int) -> list[tuple[str, Any]]:
    if depth == MAX_DEPTH:
        raise GanxError(f"the {CONFIG} beside it is nested too deep")
    found: list[tuple[str, Any]] = []
    for key, value in fields.items():
        name = f"{prefix}.{key}"
        found += _flat(name, value, depth + 1) if isinstance(value, dict) else [(name, value)]
    return found
