"""`explain`: asks every lens and writes what they saw."""

from __future__ import annotations

import importlib
import importlib.util
import math
import pkgutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import ganx
from ganx import lens as lenses
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.lens import Inquiry, Lens, Section
from ganx.numbers import to_json
from ganx.report import page
from ganx.store import writable_folder

Seen = Mapping[Lens, Section]


def explain(
    gan: Gan,
    out: str | Path,
    *,
    seed: int = 0,
    samples: int = 1000,
    only: Sequence[str] | None = None,
    title: str | None = None,
    path: str = "",
    source: str = "",
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Looks at a GAN through every lens that applies.

    Args:
      gan: any family.
      out: a folder, made if need be. Gets `index.html`, one page that needs no other file and no network,
        `report.json` with the numbers and `arrays.npz` with the arrays behind it.
      seed: everything random follows from it.
      samples: how many images statistics are taken over.
      only: names of the lenses to use; all of them by default.
      title: heading of the page; by default the family and the resolution.
      path: where the GAN was opened from, for lenses that find more there (groups, the history of a population).
      source: real pictures to compare with, as `ganx.data.open_source` takes them; by default those that the GAN was
        trained on, where that is known.
      progress: called with a lens's title before it starts, and again if it has nothing to show.

    Returns:
      The path of `index.html`.
    """
    if samples < 1:
        raise GanxError(f"samples is a whole number from 1 up, not {samples}")
    chosen = [lens for lens in select(only) if lens.applies(gan)]
    _check_weights(gan)
    folder = Path(str(writable_folder(out)))
    seen: dict[Lens, Section] = {}
    for lens in chosen:
        if progress:
            progress(lens.title)
        section = lens.look(gan, Inquiry(lens_key(seed, lens.name), samples, source or gan.spec.data, path))
        if section is not None:
            seen[lens] = section
        elif progress:
            progress(f"{lens.title}: nothing to show of this GAN")
    if not seen:
        raise GanxError(
            f"none of {', '.join(only or [lens.name for lens in discover()])} applies to this {gan.spec.family}"
        )
    facts = describe(gan, seed)
    html = page.build(title or page.default_title(gan), facts, gan, seen)
    return _write(folder, html, facts, seen)


def discover() -> tuple[Lens, ...]:
    """All lenses: imports the module `lens` of every package of ganx that has one."""
    for package in pkgutil.iter_modules(ganx.__path__, "ganx."):
        if package.ispkg and importlib.util.find_spec(f"{package.name}.lens"):
            importlib.import_module(f"{package.name}.lens")
    return lenses.registered()


def select(only: Sequence[str] | None) -> tuple[Lens, ...]:
    """The lenses of those names, in the order of the report."""
    found = discover()
    for name in only or ():
        if name not in [lens.name for lens in found]:
            raise unknown("lens", name, [lens.name for lens in found])
    return tuple(lens for lens in found if only is None or lens.name in only)


def lens_key(seed: int, name: str) -> jax.Array:
    """A lens's own key: it depends on its name, not on which other lenses are there."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def describe(gan: Gan, seed: int) -> dict[str, Any]:
    """What the page and `report.json` say of a GAN as a whole."""
    spec = gan.spec
    return {
        "family": spec.family,
        "resolution": spec.resolution,
        "channels": spec.channels,
        "latent": list(spec.latent),
        "prior": spec.prior,
        "classes": spec.classes,
        "parameters": sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(gan.variables["params"])),
        "data": spec.data,
        "stages": {name: list(shape) for name, shape in gan.shapes.items()},
        "seed": seed,
    }


def _check_weights(gan: Gan) -> None:
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gan.variables)):
        raise GanxError("the weights contain NaN or Inf; load a checkpoint from before the training broke down")


def _write(folder: Path, html: str, facts: dict[str, Any], seen: Seen) -> Path:
    numbers = {**facts, "sections": {lens.name: dict(section.numbers) for lens, section in seen.items()}}
    arrays = {f"{lens.name}/{name}": x for lens, section in seen.items() for name, x in section.arrays.items()}
    index = folder / "index.html"
    try:
        (folder / "report.json").write_text(to_json(numbers))
        with (folder / "arrays.npz").open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        index.write_text(html, encoding="utf-8")
        page.link([index, *sorted(folder.glob("*/*.html"))])  # such as those that ganx dissect wrote into it
    except OSError as error:
        raise GanxError(f"cannot write into {folder}: {error.strerror}; choose another folder") from error
    return index
