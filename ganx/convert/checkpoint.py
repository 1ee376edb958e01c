"""A public checkpoint becomes a `Gan`: tensors tell the family, shapes the architecture."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from etils import epath

from ganx.convert import origin as origins
from ganx.convert.keymap import Network, Plan, Row, Source, check, fill, is_under, rows
from ganx.convert.layouts import ignored, layouts
from ganx.convert.origin import Origin
from ganx.convert.read import MALFORMED, in_brief, read_source
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.models import make_gan
from ganx.store import save

MAX_LEFT = 10_000


@dataclasses.dataclass(frozen=True)
class Imported:
    """What a checkpoint became.

    Attributes:
      gan: the generator; the moving average of its weights where the file holds one.
      discriminator: its discriminator's module and variables, None where the files hold none.
      live: the generator that was being trained, to train on from; None where the file holds one generator.
      origin: what `ganx export` needs to give the networks back under the names of the file.
      table: what became of each tensor, generator first.
      left: names of tensors that are no part of these networks, such as an optimiser's.
    """

    gan: Gan
    discriminator: Network | None
    live: Network | None
    origin: Origin
    table: tuple[Row, ...]
    left: tuple[str, ...]

    def save(self, directory: epath.PathLike) -> epath.Path:
        """Writes all of it as a folder that `ganx.load` opens; errors as for `ganx.save`."""
        live = None if self.live is None else self.live.variables
        path = save(self.gan, directory, self.discriminator, live)
        origins.write(self.origin, path)
        return path


def import_checkpoint(
    path: str | os.PathLike[str],
    family: str | None = None,
    discriminator: str | os.PathLike[str] | None = None,
) -> Imported:
    """A generator, and its discriminator if there is one, from a public checkpoint.

    Args:
      path: a file in any container that `read_source` knows.
      family: what it should be, such as "dcgan", or its layout, such as "genforce"; None to recognise it.
      discriminator: a second file, where the discriminator is not in the first.

    Raises:
      GanxError: the file cannot be read, is of no family that ganx imports, or does not fit it exactly.
    """
    source = read_source(path)
    critic = None if discriminator is None else read_source(discriminator)
    try:
        return _import(source, critic, family)
    except GanxError as error:
        raise GanxError(f"{path}: {error}") from error
    except MALFORMED as error:  # shapes that no layer has are found where layers are built, by whatever builds them
        raise GanxError(f"{path}: its tensors or their facts make no network ({in_brief(error)})") from error


def summary_table(imported: Imported) -> str:
    """What was imported, as text: one line on the architecture, then one line for each tensor."""
    spec = imported.gan.spec
    head = (
        f"{spec.family}: {spec.resolution} x {spec.resolution} x {spec.channels}, latent "
        f"{_by(spec.latent)} ({spec.prior}), stages {', '.join(spec.stages)}"
    )
    cells = [("tensor", "becomes", "shape", "dtype")]
    cells += [(r.source, r.target, _by(r.shape) or "scalar", r.dtype) for r in imported.table]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([head, *_networks(imported), "", *lines, *_not_taken(imported.left)])


def _networks(imported: Imported) -> list[str]:
    """What else was found."""
    also = [(imported.discriminator, "a discriminator"), (imported.live, "the live generator that is averaged")]
    found = " and ".join(what for network, what in also if network is not None)
    return [f"layout {imported.origin.layout}" + (f", with {found}" if found else "")]


def _not_taken(left: Sequence[str]) -> list[str]:
    if not left:
        return []
    groups = ", ".join(dict.fromkeys(name.split(".")[0][:60] for name in left[:MAX_LEFT]))
    return ["", f"not taken: {len(left)} tensors that are no part of these networks ({groups})"]


class Part(NamedTuple):
    """One network of a checkpoint: where it lies and what it becomes."""

    root: str
    plan: Plan
    source: Source


def _import(source: Source, second: Source | None, name: str | None) -> Imported:
    layout, roots = recognise(source, name)
    parts = {
        name: Part(root, layout.generator(source, root), source)
        for name, root in zip(origins.PARTS[:2], roots, strict=False)
    }
    critic = _discriminator(layout, source, second)
    if critic is not None:
        parts["discriminator"] = critic
    _check(layout, list(parts.values()))
    networks = {part: fill(plan, tensors.tensors) for part, (_, plan, tensors) in parts.items()}
    if networks.get("live", networks["generator"]).module != networks["generator"].module:
        raise GanxError(f"its generators {roots[0]!r} and {roots[1]!r} differ in architecture; they are no pair")
    gan = make_gan(layout.NAME, networks["generator"].module, networks["generator"].variables)
    if critic is not None:
        _check_pair(critic, gan)
    return Imported(
        gan,
        networks.get("discriminator"),
        networks.get("live"),
        _origin(layout, parts),
        tuple(row for _, plan, tensors in parts.values() for row in rows(plan.entries, tensors.tensors)),
        tuple(_left(list(parts.values()))),
    )


def _check_pair(critic: Part, gan: Gan) -> None:
    sees, draws = critic.plan.example.shape[1:], gan.spec.shapes[-1]
    if sees != draws:
        what = f"the discriminator reads {_by(sees)} images and the generator draws {_by(draws)}"
        raise GanxError(f"{what}; they are no pair")


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _sources(parts: list[Part]) -> list[Source]:
    return list({id(part.source): part.source for part in parts}.values())


def _left(parts: list[Part]) -> Iterator[str]:
    """The tensors that are no part of any network taken."""
    for source in _sources(parts):
        here = [part for part in parts if part.source is source]
        used = {entry.source for part in here for entry in part.plan.entries}
        roots = [part.root for part in here]
        yield from (n for n in source.tensors if n not in used and not any(is_under(n, root) for root in roots))


def _origin(layout: ModuleType, parts: Mapping[str, Part]) -> Origin:
    kept: origins.Kept = {}
    facts: dict[str, Any] = {}
    sources = _sources(list(parts.values()))
    for source in sources:
        here = {name: part for name, part in parts.items() if part.source is source}
        roots = {name: part.root for name, part in here.items()}
        kept |= origins.to_keep({name: part.plan.entries for name, part in here.items()}, roots, source)
        facts |= origins.facts_under(list(roots.values()), source)
    maps = {name: origins.lines(part.plan.entries, part.source) for name, part in parts.items()}
    return Origin(layout.LAYOUT, maps, len(sources) > 1, facts, kept)


def _discriminator(layout: ModuleType, source: Source, second: Source | None) -> Part | None:
    """The discriminator in the second file, or in the first where there is no second."""
    root = layout.discriminator_root(second or source)
    if root is None and second is not None:
        raise GanxError(f"the second file holds no {layout.NAME} discriminator; leave it out or give the right one")
    return None if root is None else Part(root, layout.discriminator(second or source, root), second or source)


def _check(layout: ModuleType, parts: list[Part]) -> None:
    """Every tensor under the prefixes that are taken has a place, file by file."""
    for source in _sources(parts):
        here = [part for part in parts if part.source is source]
        domain = [n for n in source.tensors if any(is_under(n, part.root) for part in here) and not ignored(layout, n)]
        check([part.plan for part in here], source.tensors, domain)


def recognise(source: Source, name: str | None = None) -> tuple[ModuleType, list[str]]:
    """The layout that a checkpoint is in, and the prefixes of its generators, best first.

    Raises:
      GanxError: no layout of that family (or name) fits, or more than one does.
    """
    known = [m for m in layouts() if name in (None, m.NAME, m.LAYOUT)]
    if not known:
        raise unknown("family to import", str(name), sorted({n for m in layouts() for n in (m.NAME, m.LAYOUT)}))
    found = [(layout, roots) for layout in known if (roots := layout.generator_roots(source))]
    if len(found) > 1:
        families = {layout.NAME for layout, _ in found}
        tells = "NAME" if len(families) == len(found) else "LAYOUT"
        choices = ", ".join(f"--family {getattr(layout, tells)}" for layout, _ in found)
        raise GanxError(f"it could be read in more than one way; say which: {choices}")
    if found:
        return found[0]
    for layout in known:
        if layout.discriminator_root(source) is not None:
            raise GanxError(f"it holds a {layout.NAME} discriminator and no generator; give the generator's file")
    first = ", ".join(name[:60] for name in list(source.tensors)[:3])
    names = name or ", ".join(sorted({layout.NAME for layout in known}))
    raise GanxError(f"it holds no generator that ganx imports ({names}); it starts with {first}")
