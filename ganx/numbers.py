"""Numbers as files of text have them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def to_json(numbers: Any) -> str:
    """Mappings, lists and scalars as JSON that every reader takes: null for NaN and infinity, which JSON has not.

    A measure can mean nothing, such as the locality of a part that no image has.
    """
    return json.dumps(_finite(numbers), indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
