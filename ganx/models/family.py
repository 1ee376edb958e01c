"""What a family registers: a module of `ganx.models` that defines `FAMILY` is found by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Family(NamedTuple):
    """One family: its name, its module classes, and the functions that build its standard networks from options.

    A class-conditional generator has a field `classes` and takes `begin(z, label=...)`, its discriminator
    `(images, train, label)`; labels are int32 `[n]`.
    """

    name: str
    generator_class: type
    discriminator_class: type
    generator: Callable[..., Any]
    discriminator: Callable[..., Any]
