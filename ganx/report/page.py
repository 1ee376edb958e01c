"""The page: figures to HTML, all in one file and within its size."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import markupsafe
import numpy as np

from ganx import pictures
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.lens import Chart, Figure, ImageGrid, Lens, Movie, Section, Strips, Table
from ganx.report import charts

LIMIT = 8_000_000
"""Bytes that a page may take."""
QUALITIES = (None, 90, 75, 50)
"""WebP qualities to try, exact pixels first, until the page is within `LIMIT`."""

_HERE = Path(__file__).parent
_MACROS: dict[type, str] = {ImageGrid: "grid", Strips: "strips", Chart: "chart", Table: "table"}


KEPT = "The numbers behind this page are in report.json, the arrays in arrays.npz."
"""Where a report's numbers are."""
_OTHERS = re.compile("<!--others-->.*?<!--/others-->", re.DOTALL)


def build(
    title: str,
    facts: Mapping[str, Any],
    gan: Gan,
    seen: Mapping[Lens, Section],
    limit: int = LIMIT,
    verb: str = "ganx explain",
    kept: str = KEPT,
) -> str:
    """The page as HTML, at the best picture quality that fits into `limit` bytes.

    `verb` is the command that wrote it, `kept` a sentence on where its numbers are.
    """
    size = 0
    for quality in QUALITIES:
        html = _render(title, {**facts, "verb": verb, "kept": kept}, gan, seen, quality)
        size = len(html.encode())
        if size <= limit:
            return html
    raise GanxError(f"the page would take {size / 1e6:.1f} MB, over {limit / 1e6:.1f}; ask for fewer lenses (only=…)")


def link(pages: Iterable[Path]) -> None:
    """Makes pages that `build` made, and that are on disk, link to each other by their titles.

    Files that are no such pages stay as they are. Linking again, with more pages, replaces the old links.
    """
    texts = {path: text for path in pages if _OTHERS.search(text := path.read_text(encoding="utf-8"))}
    titles = {path: text.partition("<title>")[2].partition(" · ganx</title>")[0] for path, text in texts.items()}
    for path, text in texts.items():
        others = [
            f'<a class="other" href="{quote(Path(os.path.relpath(other, path.parent)).as_posix())}">{titles[other]}</a>'
            for other in texts
            if other != path
        ]
        before, after = _OTHERS.split(text, maxsplit=1)
        path.write_text(f"{before}<!--others-->{''.join(others)}<!--/others-->{after}", encoding="utf-8")


def default_title(gan: Gan) -> str:
    """Heading of a page that was given none."""
    return f"{gan.spec.family} {gan.spec.resolution} × {gan.spec.resolution}"


def _render(title: str, facts: Mapping[str, Any], gan: Gan, seen: Mapping[Lens, Section], quality: int | None) -> str:
    environment = _environment()
    macros: Any = environment.get_template("figures.html").make_module(
        {"src": functools.partial(_src, quality=quality)}
    )

    def show(figure: Figure) -> str:
        if isinstance(figure, Movie):
            return macros.movie(figure, _films(figure, quality))
        return getattr(macros, _MACROS[type(figure)])(figure)

    sections = [
        {"lens": lens, "lead": section.lead, "figures": [show(figure) for figure in section.figures]}
        for lens, section in seen.items()
    ]
    return environment.get_template("page.html").render(
        title=title,
        facts=facts,
        pipeline=_pipeline(gan),
        sections=sections,
        exact=quality is None,
        verb=facts["verb"],
        kept=facts["kept"],
    )


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.undefined = jinja2.StrictUndefined
    environment.filters["number"] = number
    environment.globals["bars"] = charts.bars
    environment.globals["lines"] = charts.lines
    environment.globals["areas"] = charts.areas
    environment.globals["asset"] = lambda name: markupsafe.Markup((_HERE / name).read_text())
    return environment


def _src(image: np.ndarray, quality: int | None) -> str:
    return pictures.data_uri(pictures.webp(image, quality))


def _films(movie: Movie, quality: int | None) -> list[str]:
    # Motion hides what a lossy coder leaves out, and an exact film is several times the size.
    quality = min(quality or 90, 90)
    return [pictures.data_uri(pictures.animation(loop, movie.fps, quality)) for loop in movie.frames]


def _pipeline(gan: Gan) -> list[dict[str, Any]]:
    """The generator as a row of boxes: side by map size, thickness by channels."""
    boxes = [{"name": "z", "shape": _times(gan.spec.latent), "side": 0, "depth": 0, "kind": "vector"}]
    for name, shape in gan.shapes.items():
        flat = len(shape) != 3
        side = 0 if flat else round(10 + 9 * np.log2(shape[0]))
        depth = 0 if flat else int(np.clip(np.log2(shape[-1]) - 3, 1, 7))
        kind = "vector" if flat else "image" if name.startswith("rgb") else "maps"
        boxes.append({"name": name, "shape": _times(shape), "side": side, "depth": depth, "kind": kind})
    return boxes


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def number(value: str | int | float) -> str:
    """A number as people read it: thousands apart, three significant digits; – for NaN; text as it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer):
        return f"{value:,}".replace(",", "\u202f")
    if np.isnan(value):
        return "–"
    text = f"{value:.3g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"
    return text.replace("-", "−")
