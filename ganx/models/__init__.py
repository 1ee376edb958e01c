"""Families of generators and discriminators, found by name.

The rest of ganx builds modules here and otherwise sees only pure `apply` functions and trees.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ganx.errors import GanxError, unknown
from ganx.gan import Gan, Spec
from ganx.models.family import Family


def _families() -> dict[str, Family]:
    """Every module of this package that defines `FAMILY`, by its name: a new family is one file."""
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = [module.FAMILY for module in modules if hasattr(module, "FAMILY")]
    return {family.name: family for family in found}


FAMILIES = _families()


def family(name: str) -> Family:
    """The family of that name, or a `GanxError` that lists them."""
    if name not in FAMILIES:
        raise unknown("family", name, FAMILIES)
    return FAMILIES[name]


def build_generator(name: str, options: Mapping[str, Any]) -> Any:
    """A family's standard generator module."""
    return _build(name, "generator", options)


def build_discriminator(name: str, options: Mapping[str, Any]) -> Any:
    """A family's standard discriminator module: `(images [n, H, W, C], train) -> logits [n]`."""
    return _build(name, "discriminator", options)


def module_fields(module: Any) -> dict[str, Any]:
    """What rebuilds a module: its fields as plain values that JSON can hold."""
    return {f.name: getattr(module, f.name) for f in dataclasses.fields(module) if f.name not in ("parent", "name")}


def module_from_fields(name: str, part: str, fields: Mapping[str, Any]) -> Any:
    """The inverse of `module_fields`; `part` is "generator" or "discriminator"."""
    cls = getattr(family(name), f"{part}_class")
    known = [f.name for f in dataclasses.fields(cls)]
    for field in fields:
        if field not in known:
            raise GanxError(f"this {name} {part} was saved by a newer ganx (it has a field {field!r}); upgrade ganx")
    return cls(**{k: _frozen(v) for k, v in fields.items()})


def describe(name: str, module: Any, variables: Any, data: str = "") -> Spec:
    """The `Spec` of a generator, its shapes found without running it."""
    stages, classes = module.stage_names(), getattr(module, "classes", 0)
    z = jax.ShapeDtypeStruct((1, *module.latent_shape()), jnp.float32)

    def shapes(variables: Any, z: jax.Array) -> list[jax.Array]:
        labels = {"label": jnp.zeros(1, jnp.int32)} if classes else {}
        features, context = module.apply(variables, z, method="begin", **labels)
        outputs = []
        for stage in stages:
            features, context = module.apply(variables, (stage,), features, context, method="run")
            outputs.append(features)
        return outputs

    found = [out.shape[1:] for out in jax.eval_shape(shapes, variables, z)]
    height, _, channels = found[-1]
    return Spec(name, height, channels, module.latent_shape(), module.prior, classes, stages, tuple(found), data)


def make_gan(name: str, module: Any, variables: Any, data: str = "") -> Gan:
    """A `Gan` from a module and its variables."""
    return Gan(module, variables, describe(name, module, variables, data))


def init_gan(name: str, options: Mapping[str, Any], key: jax.Array) -> Gan:
    """A freshly initialised `Gan` of a family's standard network."""
    module = build_generator(name, options)
    z = jnp.zeros((1, *module.latent_shape()))
    labels = {"label": jnp.zeros(1, jnp.int32)} if getattr(module, "classes", 0) else {}
    return make_gan(name, module, jax.jit(module.init)(key, z, **labels))


def _build(name: str, part: str, options: Mapping[str, Any]) -> Any:
    build = getattr(family(name), part)
    cls = getattr(family(name), f"{part}_class")
    known = {p.name: p.default for p in inspect.signature(build).parameters.values()}
    if "fields" in known:  # a builder that passes the rest on to the module
        del known["fields"]
        known |= {f.name: f.default for f in dataclasses.fields(cls) if f.name not in ("parent", "name", *known)}
    for option, value in options.items():
        if option not in known:
            raise unknown(f"{name} {part} option", option, known)
        if type(value) is not type(known[option]):
            kind = type(known[option]).__name__
            raise GanxError(f"the {name} {part} option {option} is of type {kind}, not {value!r}")
    return build(**options)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value
