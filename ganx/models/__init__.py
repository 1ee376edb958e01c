"""Families of generators and discriminators, found by name.

The rest of ganx builds modules here and otherwise sees only pure `apply` functions and trees.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ganx.errors import GanxError, unknown
from ganx.gan import Gan, Spec
from ganx.models.family import Family
from ganx.models.initialise import initialise


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


PRIORS = ("normal", "uniform")
_NO_OPTIONS = ("parent", "name", "rectified")  # Flax's own, and what training puts in
_SIZES = ("resolution", "channels", "latent", "style", "width", "channel_base", "channel_max")  # of which none is 0


def build_generator(name: str, options: Mapping[str, Any]) -> Any:
    """A family's standard generator module."""
    return _build(name, "generator", options)


def build_discriminator(name: str, options: Mapping[str, Any]) -> Any:
    """A family's standard discriminator module: `(images [n, H, W, C], train, label [n]) -> logits [n]`."""
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


def accepts(name: str, part: str, option: str) -> bool:
    """Whether a family's standard "generator" or "discriminator" has an option of that name."""
    found = family(name)
    return option in _options(getattr(found, part), getattr(found, f"{part}_class"))


def conditional_families() -> list[str]:
    """Names of the families whose generators can be conditioned on classes."""
    return [name for name in FAMILIES if accepts(name, "generator", "classes")]


def example_label(module: Any, n: int) -> dict[str, jax.Array]:
    """The keyword `label` for `n` samples of class 0; nothing for a network without classes."""
    return {"label": jnp.zeros(n, jnp.int32)} if getattr(module, "classes", 0) else {}


def init_generator(module: Any, key: jax.Array, n: int = 1) -> Any:
    """Fresh variables of a generator; traceable. `n` is the size of the batch that passes through it."""
    return module.init(key, jnp.zeros((n, *module.latent_shape())), **example_label(module, n))


def init_discriminator(module: Any, key: jax.Array, shape: tuple[int, ...], n: int = 4) -> Any:
    """Fresh variables of a discriminator of images of that shape; traceable."""
    return module.init(key, jnp.zeros((n, *shape)), **example_label(module, n))


def describe(name: str, module: Any, variables: Any, data: str = "") -> Spec:
    """The `Spec` of a generator, its shapes found without running it."""
    stages, classes = module.stage_names(), getattr(module, "classes", 0)
    z = jax.ShapeDtypeStruct((1, *module.latent_shape()), jnp.float32)

    def shapes(variables: Any, z: jax.Array) -> list[jax.Array]:
        features, context = module.apply(variables, z, method="begin", **example_label(module, 1))
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
    return make_gan(name, module, initialise(lambda key: init_generator(module, key), key))


def _build(name: str, part: str, options: Mapping[str, Any]) -> Any:
    build = getattr(family(name), part)
    known = _options(build, getattr(family(name), f"{part}_class"))
    for option, value in options.items():
        if option not in known:
            raise unknown(f"{name} {part} option", option, known)
        if type(value) is not type(known[option]):
            kind = type(known[option]).__name__
            raise GanxError(f"the {name} {part} option {option} is of type {kind}, not {value!r}")
        least = 1 if option in _SIZES else 0
        if isinstance(value, int) and value < least:
            raise GanxError(f"the {name} {part} option {option} is {value}; it is a number from {least} up")
        if option == "prior" and value not in PRIORS:
            raise unknown(f"{name} {part} prior", value, PRIORS)
    return build(**options)


def _options(build: Callable[..., Any], cls: type) -> dict[str, Any]:
    """The options of a builder and their defaults, those included that it passes on to the module."""
    known = {p.name: p.default for p in inspect.signature(build).parameters.values()}
    if "fields" in known:
        del known["fields"]
        known |= {f.name: f.default for f in dataclasses.fields(cls) if f.name not in (*_NO_OPTIONS, *known)}
    return known


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value
