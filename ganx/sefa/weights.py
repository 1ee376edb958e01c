"""The matrices through which a latent enters, by layer, with the choices that published code differs in."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import jax
import jax.numpy as jnp

from ganx import codes
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.sefa.layers import Layers, parse_layers

TORGB = ("last", "first", "all", "none")
_stages: dict[Hashable, tuple[str, ...]] = {}  # by architecture: tracing a large one takes as long as its eigenvectors
_POSE = "input"  # StyleGAN3's layer 0 places the picture and makes no features


def layer_weights(gan: Gan, include_torgb: str = "last") -> dict[str, jax.Array]:
    """Rows `[m, d]` of every layer, by the stage it drives, in layer order.

    Args:
      gan: any family.
      include_torgb: which of StyleGAN2's image layers belong to the weights: "last" (the authors' code), "first" (in
        place of the last, as rosinality's does), "all" or "none". The image layer of block b joins layer 2b + 1.
    """
    if include_torgb not in TORGB:
        raise unknown("choice of include_torgb", include_torgb, TORGB)
    matrices = dict(gan.module.apply(gan.variables, method="style_matrices"))
    if include_torgb == "last":
        return matrices
    if gan.spec.family != "stylegan2":
        raise GanxError(
            f"only StyleGAN2 has image layers to choose from; leave include_torgb out for {gan.spec.family}"
        )
    return _with_images(gan, matrices, include_torgb)


def layer_stages(gan: Gan, include_torgb: str = "last") -> tuple[str, ...]:
    """The stages that the layers drive, in layer order, without computing anything."""
    asked = (gan.module, gan.spec, include_torgb)
    if asked not in _stages:
        _stages[asked] = _traced_stages(gan, include_torgb)
    return _stages[asked]


def _traced_stages(gan: Gan, include_torgb: str) -> tuple[str, ...]:
    stages: list[str] = []

    def trace(gan: Gan) -> list[jax.Array]:
        found = layer_weights(gan, include_torgb)
        stages.extend(found)
        return list(found.values())

    jax.eval_shape(trace, gan)
    return tuple(stages)


def _with_images(gan: Gan, matrices: Mapping[str, jax.Array], include: str) -> dict[str, jax.Array]:
    stages = list(matrices)
    parts = {stage: [rows] for stage, rows in matrices.items()}
    if include in ("first", "none"):
        parts[stages[-1]] = [matrices[stages[-1]][:0]]
    early = [stage for stage in gan.stages if stage.startswith("rgb")][:-1]
    for stage in {"first": early[:1], "all": early, "none": []}[include]:
        driven = stages[2 * int(stage[3:]) + 1]
        parts[driven].append(gan.variables["params"][stage]["style"]["kernel"].T)
    return {stage: jnp.concatenate(rows) for stage, rows in parts.items()}


def choose_layers(stages: tuple[str, ...], layers: Layers) -> tuple[int, ...]:
    """Indices of the layers meant; "all" leaves out the one that only places the picture (StyleGAN3's `input`)."""
    if isinstance(layers, str) and layers.strip() == "all":
        return tuple(i for i, stage in enumerate(stages) if stage != _POSE)
    return parse_layers(layers, len(stages))


def groups(gan: Gan) -> dict[str, str]:
    """Layer ranges by name, as the authors group them: all, or bottom, middle and top of a style-based generator."""
    if not codes.style_based(gan):
        return {"all": "all"}
    count, first = codes.code_shape(gan)[0], int(_POSE in gan.stages)
    if count - first < 6:
        return {"bottom": _range(first, first + 1), "top": _range(first + 2, count - 1)}
    middle = first + (5 if count - first > 6 else 3)
    return {
        "bottom": _range(first, first + 1),
        "middle": _range(first + 2, middle),
        "top": _range(middle + 1, count - 1),
    }


def _range(first: int, last: int) -> str:
    return f"{first}-{last}"
