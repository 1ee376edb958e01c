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
from ganx.errors import unknown

WORLDS: dict[str, type[World]] = {kind.NAME: kind for kind in (Faces, Scenes, Digits, Gaussians)}
"""Every world by its name."""


def world(name: str, **options: Any) -> World:
    """A world by name: "faces", "scenes", "digits" or "gaussians".

    Args:
      **options: fields of the world's class, as Python objects or as the text of a source string
        (`drop="person,car"`); see `PictureWorld` for those that pictures share.

    Returns:
      A `World`: random access with `[i]` and `gather`, and on the device `render`, `params` and `draw`.

    Raises:
      GanxError: for an unknown name, option or value, with the nearest valid one.
    """
    if name not in WORLDS:
        raise unknown("world", name, WORLDS)
    fields = [field.name for field in dataclasses.fields(WORLDS[name])]
    for option in options:
        if option not in fields:
            raise unknown(f"option of world:{name}", option, sorted(fields))
    return WORLDS[name](**options)


__all__ = ["WORLDS", "Params", "PictureWorld", "World", "world"]
