"""Worlds: procedural pictures with known truth, drawn on the device."""

from __future__ import annotations

import dataclasses
from typing import Any

from ganx.data.worlds.base import Params, World
from ganx.data.worlds.digits import Digits, GreyDigits, StackedDigits
from ganx.data.worlds.faces import Faces
from ganx.data.worlds.gaussians import Gaussians
from ganx.data.worlds.picture import PictureWorld
from ganx.data.worlds.scenes import Scenes
from ganx.errors import GanxError, unknown

WORLDS: dict[str, type[World]] = {kind.NAME: kind for kind in (Faces, Scenes, Digits, Gaussians)}
"""Every world by its name."""


def world(name: str, **options: Any) -> World:
    """A world by name: "faces", "scenes", "digits" or "gaussians".

    Args:
      **options: fields of the world's class, as Python objects or as the text of a source string
        (`drop="person,car"`); see `PictureWorld` for those that pictures share. Digits also take `grey=True`
        (one channel, white on black) and `channels3="stack"` (three grey digits as the channels of a picture).

    Returns:
      A `World`: random access with `[i]` and `gather`, and on the device `render`, `params` and `draw`.

    Raises:
      GanxError: for an unknown name, option or value, with the nearest valid one.
    """
    if name not in WORLDS:
        raise unknown("world", name, WORLDS)
    kind, options = _variant(WORLDS[name], options)
    fields = [field.name for field in dataclasses.fields(kind)]
    for option in options:
        if option not in fields:
            raise unknown(f"option of world:{name}", option, sorted(fields))
    return kind(**options)


def _variant(kind: type[World], options: dict[str, Any]) -> tuple[type[World], dict[str, Any]]:
    """Which of several classes of one name is meant, and the options that are left."""
    if kind is not Digits:
        return kind, options
    rest = {name: value for name, value in options.items() if name not in ("grey", "channels3")}
    grey, channels3 = str(options.get("grey", 0)).lower(), options.get("channels3", "colour")
    if grey not in ("0", "1", "false", "true"):
        raise GanxError(f"grey={grey} of world:digits is neither 0 nor 1")
    if channels3 not in ("colour", "stack"):
        raise unknown("form of channels3", channels3, ("colour", "stack"))
    if channels3 == "stack":
        return StackedDigits, rest
    return (GreyDigits if grey in ("1", "true") else Digits), rest


__all__ = ["WORLDS", "Params", "PictureWorld", "World", "world"]
