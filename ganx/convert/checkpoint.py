"""A public checkpoint becomes a `Gan`: tensors tell the family, shapes the architecture."""

from __future__ import annotations

import dataclasses
import os
from types import ModuleType

from ganx.convert import dcgan
from ganx.convert.keymap import Network, Row, Tensors, fill, rows
from ganx.convert.read import read_tensors
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.models import make_gan

# One module a family: NAME, generator_root, discriminator_root, generator and discriminator (see `dcgan`).
FAMILIES: tuple[ModuleType, ...] = (dcgan,)


@dataclasses.dataclass(frozen=True)
class Imported:
    """What a checkpoint became.

    Attributes:
      gan: the generator.
      discriminator: its discriminator's module and variables, None where the files hold none.
      table: what became of each tensor, generator first.
    """

    gan: Gan
    discriminator: Network | None
    table: tuple[Row, ...]


def import_checkpoint(
    path: str | os.PathLike[str],
    family: str | None = None,
    discriminator: str | os.PathLike[str] | None = None,
) -> Imported:
    """A generator, and its discriminator if there is one, from a public PyTorch checkpoint.

    Args:
      path: a file in any container that `read_tensors` knows.
      family: what it should be, such as "dcgan"; None to recognise it.
      discriminator: a second file, where the discriminator is not in the first.

    Raises:
      GanxError: the file cannot be read, is of no family that ganx imports, or does not fit it exactly.
    """
    tensors = read_tensors(path)
    critic_tensors = None if discriminator is None else read_tensors(discriminator)
    try:
        return _import(tensors, critic_tensors, family)
    except GanxError as error:
        raise GanxError(f"{path}: {error}") from error


def summary_table(imported: Imported) -> str:
    """What was imported, as text: one line on the architecture, then one line for each tensor."""
    spec = imported.gan.spec
    head = (
        f"{spec.family}: {spec.resolution} x {spec.resolution} x {spec.channels}, latent "
        f"{' x '.join(map(str, spec.latent))} ({spec.prior}), stages {', '.join(spec.stages)}"
    )
    cells = [("tensor", "becomes", "shape", "dtype")]
    cells += [(r.source, r.target, " x ".join(map(str, r.shape)) or "scalar", r.dtype) for r in imported.table]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([head, "", *lines])


def _import(tensors: Tensors, critic_tensors: Tensors | None, name: str | None) -> Imported:
    family, root = _recognise(tensors, name)
    if critic_tensors is None:
        tensors, critic_tensors = _split(tensors, family.discriminator_root(tensors))
    elif family.discriminator_root(critic_tensors) is None:
        raise GanxError(f"the second file holds no {family.NAME} discriminator; leave it out or give the right one")
    plan = family.generator(tensors, root)
    network = fill(plan.module, plan.example, plan.entries, tensors)
    gan = make_gan(family.NAME, network.module, network.variables)
    table = rows(plan.entries, tensors)
    if not critic_tensors:
        return Imported(gan, None, table)
    critic, critic_rows = _discriminator(family, gan, critic_tensors)
    return Imported(gan, critic, table + critic_rows)


def _discriminator(family: ModuleType, gan: Gan, tensors: Tensors) -> tuple[Network, tuple[Row, ...]]:
    plan = family.discriminator(tensors, family.discriminator_root(tensors))
    if plan.example.shape[1:] != gan.spec.shapes[-1]:
        reads, draws = (" x ".join(map(str, shape)) for shape in (plan.example.shape[1:], gan.spec.shapes[-1]))
        raise GanxError(f"the discriminator reads {reads} images and the generator draws {draws}; they are no pair")
    return fill(plan.module, plan.example, plan.entries, tensors), rows(plan.entries, tensors)


def _recognise(tensors: Tensors, name: str | None) -> tuple[ModuleType, str]:
    """The family whose generator the tensors hold, and the prefix under which it lies."""
    families = {family.NAME: family for family in FAMILIES}
    if name is not None and name not in families:
        raise unknown("family to import", name, families)
    for family in FAMILIES if name is None else [families[name]]:
        root = family.generator_root(tensors)
        if root is not None:
            return family, root
        if family.discriminator_root(tensors) is not None:
            raise GanxError(f"it holds a {family.NAME} discriminator and no generator; give the generator's file")
    first = ", ".join(name[:60] for name in list(tensors)[:3])
    raise GanxError(f"it holds no generator that ganx imports ({name or ', '.join(families)}); it starts with {first}")


def _split(tensors: Tensors, root: str | None) -> tuple[Tensors, Tensors]:
    """The tensors outside and under `root`."""
    under = {name: array for name, array in tensors.items() if root is not None and name.startswith(f"{root}.")}
    return {name: array for name, array in tensors.items() if name not in under}, under
