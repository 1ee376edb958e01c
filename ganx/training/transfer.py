"""Starting from a GAN that was trained before, on the same or on other images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ganx.errors import GanxError
from ganx.models import (
    accepts,
    build_discriminator,
    build_generator,
    module_fields,
    module_from_fields,
)
from ganx.store import find, load, load_discriminator, load_live, read_manifest
from ganx.training.state import Net, State

Tree = Any

_KEPT = "rectified"  # what no option of a family sets: stays as it was saved
_FREE = ("dtype", "half_res", "half_dtype")  # what it computes in, no part of the architecture: set anew


@dataclasses.dataclass(frozen=True)
class Ancestor:
    """A saved GAN that a run starts from.

    Attributes:
      path: its folder, or a bundled name.
      family: of the networks.
      fields: of its generator, and of its discriminator where it has one, by part.
    """

    path: str
    family: str
    fields: Mapping[str, Mapping[str, Any]]

    def module(self, part: str, options: Mapping[str, Any]) -> Any:
        """The saved network of that part, computing in what `options` say of its precision."""
        saved = self.fields[part]
        free = {name: options[name] for name in _FREE if name in saved and name in options}
        return module_from_fields(self.family, part, {**saved, **free})

    def check(self, name: str, saved: Any, wanted: Any) -> None:
        """Refuses a generator whose images or classes are not those of the data."""
        if saved != wanted:
            raise self._other("generator", name, saved, wanted)

    def check_options(self, part: str, options: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
        """Refuses options of the configuration that the saved network was not built with.

        Args:
          part: "generator" or "discriminator".
          options: as given; those that are fields of the module are compared, others through what they build.
          shared: what the data say about both networks, for building.

        Raises:
          GanxError: naming the first field that differs.
        """
        saved, wanted = self.fields[part], dict(options)
        if not all(name in saved for name in options):
            build = build_generator if part == "generator" else build_discriminator
            shared = {k: v for k, v in shared.items() if accepts(self.family, part, k)}
            wanted = module_fields(build(self.family, {**shared, **options}))
        for name, value in wanted.items():
            if name not in (*_FREE, _KEPT) and saved.get(name) != value:
                raise self._other(part, name, saved.get(name), value)

    def _other(self, part: str, name: str, saved: Any, wanted: Any) -> GanxError:
        return GanxError(
            f"the {part} of {self.path} has {name}={_short(saved)}, this run wants {_short(wanted)}; "
            "leave it to the saved networks, or start afresh without --init"
        )

    def start(self, state: State) -> State:
        """A fresh state with the saved weights in place of its own, on the same devices; optimisers stay fresh."""
        g, d = self.nets(state.g, state.d)
        return dataclasses.replace(state, g=g, d=d, ema=placed(state.ema, load(self.path).variables))

    def nets(self, g: Net, d: Net) -> tuple[Net, Net]:
        """Both networks with the saved weights, D as it is where none was saved; a population gets as many copies.

        G goes on from the weights before averaging where they were saved, else from the average.
        """
        live = load_live(self.path)
        g = _with(g, load(self.path).variables if live is None else live)
        return g, _with(d, load_discriminator(self.path)[1]) if "discriminator" in self.fields else d


def ancestor(path: str, family: str) -> Ancestor:
    """What is saved at `path`, without its weights.

    Raises:
      GanxError: nothing there that ganx reads, or another family.
    """
    manifest = read_manifest(find(path))
    if manifest.family != family:
        raise GanxError(f"{path} holds a {manifest.family}, not a {family}; set config.model.family={manifest.family}")
    parts = {"generator": manifest.generator, "discriminator": manifest.discriminator}
    modules = {k: module_from_fields(family, k, fields) for k, fields in parts.items() if fields is not None}
    return Ancestor(path, family, {k: module_fields(module) for k, module in modules.items()})


def _with(net: Net, variables: Tree) -> Net:
    stats = {name: tree for name, tree in variables.items() if name != "params"}
    return dataclasses.replace(net, params=placed(net.params, variables["params"]), stats=placed(net.stats, stats))


def placed(old: Tree, new: Tree) -> Tree:
    """Copies of the leaves of `new`, of the shapes of `old` and where those are: a step gives its buffers away."""
    return jax.tree.map(lambda a, b: jax.device_put(jnp.copy(jnp.broadcast_to(b, a.shape)), a.sharding), old, new)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
