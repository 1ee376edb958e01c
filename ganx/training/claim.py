"""Whose a run's folder is: what it holds, and what may change when a run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jax
from etils import epath
from ml_collections import ConfigDict

from ganx.errors import GanxError
from ganx.store import MANIFEST, read_manifest, writable_folder
from ganx.training.logs import say

_TUNED = ("g.lr", "d.lr", "r1.gamma")  # what is told to try where a run broke down
_MAY_CHANGE = (
    *("steps", "steps_per_call", "log_every", "sample_every", "samples", "checkpoint_every", "keep"),
    *("score.every", "score.images", "score.net"),
    *_TUNED,
)
_FIRST_TOLD = ("method", "model.family")  # of what differs, for the rest follows from them


def claim(workdir: epath.Path, config: ConfigDict) -> None:
    """Sees to it that the folder can be this run's: writable, and of the same configuration if it holds a run.

    Says what of the training has changed since, where it may.

    Raises:
      GanxError: it cannot.
    """
    writable_folder(workdir)
    if (workdir / MANIFEST).exists():
        read_manifest(workdir)  # refuses what another version wrote
    path, now = workdir / "config.json", json.loads(config.to_json_best_effort())
    if path.exists():
        before, after = _flat(json.loads(path.read_text())), _flat(now)
        for name in sorted({**before, **after}, key=lambda name: (name not in _FIRST_TOLD, name)):
            old, new = before.get(name), after.get(name)
            if old != new and name in _TUNED and jax.process_index() == 0:
                say(f"{name} was {old} in this folder's run and is {new} from here on")
            if old != new and name not in _MAY_CHANGE:
                raise GanxError(
                    f"{workdir} holds a run with {name}={old}, this one has {new}; "
                    "choose another --workdir, or the same value to go on"
                )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
