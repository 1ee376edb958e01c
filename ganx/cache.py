"""Where ganx keeps what would only have to be worked out again: references, trained readers, compiled programs."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "GANX_CACHE"


def folder(name: str) -> Path:
    """The folder `name` of the cache: in `$GANX_CACHE`, by default `~/.cache/ganx`. Not made here."""
    return Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "ganx") / name
