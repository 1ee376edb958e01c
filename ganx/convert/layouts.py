"""The layouts that ganx can bring in, found by themselves: a new one is one file in `ganx.convert`.

A layout module offers
  NAME                        the family that it becomes, such as "stylegan2"
  LAYOUT                      whose key names they are, such as "genforce"
  IGNORED                     optional regular expression: names of tensors that the network does not need
  generator_roots(source)     prefixes under which its generators lie, best first (moving average before live weights),
                              [] if this is another layout; "" for a state dict at the top
  discriminator_root(source)  the prefix of its discriminator, None if there is none
  generator(source, root)     the `Plan` of the generator under a prefix
  discriminator(source, root) the `Plan` of the discriminator under a prefix
Every tensor under a prefix that is taken must be used or match IGNORED.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from types import ModuleType

# PyTorch's batch norm counts the batches it has seen; inference and ganx's training have no use for it.
COUNTERS = re.compile(r"(^|\.)num_batches_tracked$")


@functools.cache
def layouts() -> tuple[ModuleType, ...]:
    """Every module of this package that defines `LAYOUT`, in the order of their names."""
    package = importlib.import_module("ganx.convert")
    names = sorted(found.name for found in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"ganx.convert.{name}") for name in names]
    return tuple(module for module in modules if hasattr(module, "LAYOUT"))


def ignored(layout: ModuleType, name: str) -> bool:
    """Whether a layout needs a tensor of that name for nothing."""
    pattern = getattr(layout, "IGNORED", None)
    return bool(COUNTERS.search(name) or (pattern is not None and re.search(pattern, name)))
