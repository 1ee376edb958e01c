"""The pages of a dissection: a gallery of every layer, a page for every action, all linked."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ganx import pictures
from ganx.dissection import figures
from ganx.dissection.actions import Action
from ganx.dissection.compare import compare
from ganx.dissection.result import Dissection
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.lens import Figure, ImageGrid, Lens, Section, Table
from ganx.numbers import to_json
from ganx.report import page
from ganx.report.explain import describe

_GALLERY = (
    "Each unit on the images that excite it most, its region outlined, with the class that the regions match best and "
    "their overlap (IoU). By chance, masks of the same areas would overlap as much as the table says."
)


@dataclasses.dataclass
class Book:
    """Collects what a run finds and writes it into a folder as pages, pictures and numbers.

    Attributes:
      gan, name: what is dissected, and how it was opened.
      folder: exists and can be written.
      seed: of the latents.
    """

    gan: Gan
    name: str
    folder: Path
    seed: int
    layers: dict[str, tuple[Dissection, ImageGrid]] = dataclasses.field(default_factory=dict)
    extras: dict[str, tuple[str, Section]] = dataclasses.field(default_factory=dict)

    def action(self, stem: str, done: Action) -> None:
        """Writes STEM.html, STEM.png and STEM.json."""
        self._write(f"{stem}.png", pictures.png(pictures.sheet(done.images)))
        self._write(f"{stem}.json", to_json(done.section.numbers).encode())
        self._page(f"{stem}.html", done.title, {stem: (done.title, done.section)}, f"{stem}.json")

    def layer(self, found: Dissection, gallery: ImageGrid) -> None:
        """Adds a layer, and writes its gallery as a picture."""
        self._write(f"{found.stage}-units.png", pictures.png(pictures.sheet(gallery.images)))
        self.layers[found.stage] = found, gallery

    def extra(self, key: str, title: str, section: Section) -> None:
        """Adds a section to index.html, after the layers."""
        self.extras[key] = title, section

    def close(self) -> Path:
        """Writes index.html with all layers and links every page of the folder, and a report in the folder above."""
        sections = {stage: (f"Units of {stage}", _layer(*told)) for stage, told in self.layers.items()}
        if len(self.layers) > 1:
            table = _comparison({stage: found for stage, (found, _) in self.layers.items()})
            sections |= {"layers": ("Layers side by side", Section("How many units match a concept.", (table,)))}
        sections |= self.extras
        title = f"Units of {Path(self.name).name}"
        index = self._page("index.html", title, sections, "STAGE.json, the arrays in STAGE.npz")
        pages = [index, *sorted(set(self.folder.glob("*.html")) - {index})]
        report = self.folder / ".." / "index.html"
        try:
            page.link([*pages, report] if report.is_file() else pages)
        except OSError as error:
            raise GanxError(f"cannot link the pages in {self.folder}: {error.strerror}") from error
        return index

    def _page(self, name: str, title: str, sections: dict[str, tuple[str, Section]], numbers: str) -> Path:
        seen = {Lens(key, i, heading, _told): told for i, (key, (heading, told)) in enumerate(sections.items())}
        facts = describe(self.gan, self.seed)
        kept = f"The numbers behind this page are in {numbers}."
        html = page.build(title, facts, self.gan, seen, verb="ganx dissect", kept=kept)
        return self._write(name, html.encode())

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        try:
            path.write_bytes(content)
        except OSError as error:
            raise GanxError(f"cannot write {path}: {error.strerror}; choose another folder") from error
        return path


def _told(gan: Gan, inquiry: Any) -> Section | None:
    """A section that is written at once is never asked for again."""
    raise GanxError("this page is written by ganx dissect, not by a lens")


def _layer(found: Dissection, gallery: ImageGrid) -> Section:
    chart = figures.bars(found)
    shown: list[Figure] = [chart] if chart else []
    reader, told = found.facts["segmenter"], found.facts["note"]
    lead = f"{_GALLERY} Classes are read by {reader}{': ' if told else ''}{told}."
    return Section(lead, (*shown, gallery, figures.table(found)))


def _comparison(found: dict[str, Dissection]) -> Table:
    told = compare(found)
    columns = ("layer", "units", "match a concept", "concepts", "mean IoU of these")
    values = zip(told.titles, told.units, told.interpretable, told.classes, told.mean_iou, strict=True)
    rows = tuple((title, int(u), int(i), int(c), float(m)) for title, u, i, c, m in values)
    return Table(columns, rows, "By the paper's cut-offs.")
