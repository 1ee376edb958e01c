"""Modules on disk: starting from them, listing them, merging those of two GANs, refusing those that do not fit."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.models import make_gan
from ganx.models.modular import ENCODER, PREFIX, RECONSTRUCTOR, ModularGenerator, checked_attributes
from ganx.modulargan.duel import DuelState
from ganx.store import absolute, find, load, load_discriminator, read_manifest, save

Tree = Any
FRAME = ("resolution", "channels", "width")
"""Fields that say which features modules exchange."""
SHAPES = (*FRAME, "encoder_blocks", "encoder_norm", "blocks", "mask", "conditioning", "classes")


@dataclasses.dataclass(frozen=True)
class ModuleInfo:
    """One module: the part's name, the values it can give, its size and the hash of its parameters."""

    name: str
    values: tuple[str, ...]
    parameters: int
    fingerprint: str


def fingerprint(tree: Tree) -> str:
    """A hash of parameters: names, shapes and every bit of every number."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        digest.update(jax.tree_util.keystr(path).encode() + str(leaf.shape).encode() + np.asarray(leaf).tobytes())
    return digest.hexdigest()[:12]


def list_modules(gan: Gan) -> list[ModuleInfo]:
    """Every part of a modular GAN, in the order of its stages."""
    module: Any = gan.module
    params, values = gan.variables["params"], dict(module.attributes)
    parts = dict.fromkeys((ENCODER, *gan.stages))
    return [
        ModuleInfo(
            part,
            values.get(part.removeprefix(PREFIX), ()),
            sum(leaf.size for leaf in jax.tree.leaves(params[part])),
            fingerprint(params[part]),
        )
        for part in parts
    ]


def select(gan: Gan, names: Sequence[str]) -> Gan:
    """A modular GAN with these modules alone, in this order.

    Raises:
      GanxError: no module of that name, none at all, or one twice.
    """
    known = dict(gan.module.attributes)  # type: ignore[attr-defined]
    for name in names:
        if name not in known:
            raise unknown("module", name, known)
    kept = {k: v for k, v in gan.variables["params"].items() if not k.startswith(PREFIX) or k[len(PREFIX) :] in names}
    attributes = checked_attributes((name, known[name]) for name in names)
    module: Any = dataclasses.replace(gan.module, attributes=attributes)  # type: ignore[type-var]
    return make_gan("modular", module, {**gan.variables, "params": kept}, gan.spec.data)


def merge(gan: Gan, other: Gan, names: tuple[str, ...] = (), force: bool = False) -> Gan:
    """`gan` with transformers of `other` added, or put in place of its own of the same name.

    Args:
      names: attributes to take, all of `other`'s that `gan` lacks by default.
      force: take them although encoder or reconstructor have other weights than those they were trained between.

    Raises:
      GanxError: features of another shape, transformers of another form, another encoder or reconstructor, no module
        of that name, or nothing to take.
    """
    for one in (gan, other):
        if one.spec.family != "modular":
            raise GanxError(f"a {one.spec.family} has no modules; give GANs trained with configs/modulargan/")
    module: Any = gan.module
    donor: Any = other.module
    mine, theirs = dict(module.attributes), dict(donor.attributes)
    for name in names:
        if name not in theirs:
            raise unknown("module", name, theirs)
    names = names or tuple(name for name in theirs if name not in mine)
    if not names:
        raise GanxError("the other GAN has no module that this one lacks; name those to replace with --names")
    _check_form(module, donor)
    if not force:
        _check_frame(gan, other)
    attributes = tuple({**mine, **{name: theirs[name] for name in names}}.items())
    taken = {PREFIX + name: other.variables["params"][PREFIX + name] for name in names}
    variables = {**gan.variables, "params": {**gan.variables["params"], **taken}}
    return make_gan("modular", dataclasses.replace(module, attributes=attributes), variables, gan.spec.data)


def _check_form(module: ModularGenerator, other: ModularGenerator) -> None:
    for field in SHAPES:
        if field in ("encoder_blocks", "encoder_norm", "classes"):
            continue
        mine, theirs = getattr(module, field), getattr(other, field)
        if mine != theirs:
            raise GanxError(f"these modules do not fit: {field} is {mine} here and {theirs} there; train them alike")


def _check_frame(gan: Gan, other: Gan) -> None:
    for part in (ENCODER, RECONSTRUCTOR):
        mine, theirs = (fingerprint(one.variables["params"][part]) for one in (gan, other))
        if mine != theirs:
            raise GanxError(
                f"these modules were trained between another {part} ({theirs}, here {mine}); "
                "train them on this one with `ganx modules add`, or use --force"
            )


def save_merged(gan: Gan, source: Any, out: Any) -> Any:
    """Writes a merged GAN. Discriminators are left out: they are those of one training."""
    if find(source) == absolute(out):
        raise GanxError(f"{out} is the GAN itself; give another folder")
    return save(gan, out)


def inherit(path: str, generator: Any, discriminator: Any, state: DuelState) -> DuelState:
    """A fresh state with the parts that a saved modular GAN has; the rest stays fresh.

    Raises:
      GanxError: a GAN of another family, or parts of another shape.
    """
    manifest = read_manifest(find(path))
    gan = load(path, "modular")
    module: Any = gan.module
    _check_start(module, generator)
    params = _inherited(state.g.params, gan.variables["params"])
    d_params = state.d.params
    if manifest.discriminator is not None:
        critic, variables = load_discriminator(path)
        same = all(getattr(critic, f) == getattr(discriminator, f) for f in ("width", "depth", "shared", "resolution"))
        d_params = _inherited(d_params, variables["params"]) if same else d_params
    return dataclasses.replace(
        state,
        g=dataclasses.replace(state.g, params=params),
        d=dataclasses.replace(state.d, params=d_params),
        ema={**state.ema, "params": jax.tree.map(lambda leaf: leaf.copy(), params)},
    )


def _check_start(saved: ModularGenerator, wanted: ModularGenerator) -> None:
    for field in SHAPES:
        mine, theirs = getattr(wanted, field), getattr(saved, field)
        if mine != theirs:
            raise GanxError(
                f"the saved GAN has {field}={theirs}, the configuration {mine}; set config.model.generator alike"
            )
    known = dict(wanted.attributes)
    for name, values in saved.attributes:
        if name in known and known[name] != values:
            raise GanxError(f"the saved module {name} knows {', '.join(values)}, the data {', '.join(known[name])}")


def _inherited(fresh: Tree, saved: Tree) -> Tree:
    return {name: saved.get(name, tree) for name, tree in fresh.items()}
