"""A source at a glance: what it is in text, and a contact sheet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ganx.data.example import Example, Source
from ganx.errors import GanxError

_CAPTION = 12
"""Height of a line of caption in pixels."""

_LETTER = 6
_GAP = 4
_SAMPLE = 2000


def describe(source: Source) -> str:
    """What is known about a source, in lines of text; counts are over at most 2,000 evenly spread examples."""
    spec = source.spec
    rows = np.unique(np.linspace(0, len(source) - 1, min(len(source), _SAMPLE)).round().astype(int))
    seen = _columns(source, rows)
    lines = [("source", spec.name), ("examples", f"{len(source):,}"), ("shape", _shape(spec.shape))]
    if seen:
        lines.append(("counted", "all" if len(rows) == len(source) else f"{len(rows):,} evenly spread examples"))
    if spec.labels:
        lines.append(("labels", _counts(seen["label"], spec.labels)))
    lines += [(name, _counts(seen[f"attr {name}"], values)) for name, values in spec.attrs.items()]
    if spec.masks:
        lines.append(("mask classes", ", ".join(spec.masks)))
    lines += [("rendered on the device", "yes" if spec.rendered else "no"), ("licence", spec.licence or "not stated")]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines)


def preview(source: Source, path: str | os.PathLike[str], n: int = 24) -> Path:
    """Writes a contact sheet of `n` evenly spread examples as PNG.

    Masks stand to the right of their pictures, black where the class is not known. Labels and short attributes are
    written below. Points of a plane are drawn as a scatter plot.

    Returns:
      The path written.

    Raises:
      GanxError: if the sheet cannot be written.
    """
    if n < 1:
        raise GanxError(f"a sheet has 1 example or more, not {n}")
    n = min(n, len(source))
    if len(source.spec.shape) != 3:
        sheet = _scatter(source)
    else:
        batch = source.gather(np.linspace(0, len(source) - 1, n).round().astype(int))
        sheet = _sheet([_tile(source, batch, i) for i in range(n)], captions=_captions(source, batch))
    try:
        sheet.save(os.fspath(path), "PNG")
    except OSError as error:
        raise GanxError(f"cannot write {os.fspath(path)}: {error.strerror or error}; choose another place") from None
    return Path(path)


def colour_mask(mask: np.ndarray) -> np.ndarray:
    """A mask, uint8 `[h, w]`, in clearly different colours: uint8 `[h, w, 3]`; 255 is black."""
    hue = (np.arange(256) * 0.618034) % 1
    value = np.array([0.95, 0.7, 0.45])[np.arange(256) % 3]
    phase = (hue[:, None] * 6 + np.array([5, 3, 1])) % 6
    colours = value[:, None] * (1 - 0.75 * np.clip(np.minimum(phase, 4 - phase), 0, 1))
    colours[255] = 0
    return (colours * 255).astype(np.uint8)[mask]


def _columns(source: Source, rows: np.ndarray) -> dict[str, np.ndarray]:
    if not source.spec.labels and not source.spec.attrs:
        return {}
    batch = source.gather(rows)
    return {"label": np.asarray(batch.label)} | {f"attr {name}": np.asarray(v) for name, v in batch.attrs.items()}


def _counts(column: np.ndarray, names: Sequence[str]) -> str:
    if len(names) > 12 or not names:
        known = column[column >= 0]
        quarters = np.percentile(known, [0, 25, 50, 75, 100]).astype(int) if len(known) else []
        return f"{len(names) or 'many'} values; quartiles {' / '.join(map(str, quarters))}"
    counts = [f"{name} {int((column == i).sum())}" for i, name in enumerate(names)]
    missing = int((column < 0).sum())
    return ", ".join(counts + ([f"not known {missing}"] if missing else []))


def _shape(shape: tuple[int, ...]) -> str:
    if len(shape) != 3:
        return f"points with {shape[0]} coordinates"
    return f"{shape[1]}x{shape[0]}, {'grey' if shape[2] == 1 else 'RGB'}"


def _tile(source: Source, batch: Example, index: int) -> np.ndarray:
    image = batch.image[index]
    image = np.repeat(image, 3, -1) if image.shape[-1] == 1 else image
    enlarge = max(1, round(96 / max(image.shape[:2])))
    parts = [image, colour_mask(batch.mask[index])] if source.spec.masks else [image]
    return np.concatenate(parts, 1).repeat(enlarge, 0).repeat(enlarge, 1)


def _captions(source: Source, batch: Example) -> list[list[str]]:
    """Lines of text below each picture: the class, then attributes; "" where there is nothing to say."""
    spec = source.spec
    columns: list[tuple[str, tuple[str, ...], Any]] = [("", spec.labels, batch.label)] if spec.labels else []
    columns += [(name, values, batch.attrs[name]) for name, values in spec.attrs.items()]
    return [
        [_caption(name, values, int(column[i])) for name, values, column in columns] for i in range(len(batch.index))
    ]


def _caption(name: str, values: Sequence[str], value: int) -> str:
    if values == ("no", "yes"):
        return name if value == 1 else ""
    text = "" if value < 0 else values[value] if value < len(values) else str(value)
    return f"{name} {text}" if name and text.isdigit() else text


def _sheet(tiles: list[np.ndarray], captions: list[list[str]]) -> Image.Image:
    height, width = tiles[0].shape[:2]
    columns = max(1, min(len(tiles), 960 // (width + _GAP)))
    texts = [_wrap([word for word in words if word], width // _LETTER) for words in captions]
    below = _CAPTION * max((len(text) for text in texts), default=0)
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (height + below + _GAP) + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (tile, text) in enumerate(zip(tiles, texts, strict=True)):
        x, y = _GAP + i % columns * (width + _GAP), _GAP + i // columns * (height + below + _GAP)
        sheet.paste(Image.fromarray(tile), (x, y))
        for line, words in enumerate(text):
            draw.text((x, y + height + line * _CAPTION), words, "black")
    return sheet


def _wrap(words: list[str], letters: int, most: int = 4) -> list[str]:
    """Words joined by commas into at most `most` lines of at most `letters` letters."""
    lines: list[str] = []
    for word in words:
        word = word[:letters]
        if lines and len(lines[-1]) + len(word) + 2 <= letters:
            lines[-1] += ", " + word
        else:
            lines.append(word)
    return lines[:most]


def _scatter(source: Source) -> Image.Image:
    points = np.asarray(source.gather(np.arange(min(len(source), _SAMPLE))).image)
    side, reach = 384, float(np.abs(points).max()) * 1.05
    counts, _, _ = np.histogram2d(-points[:, 1], points[:, 0], side, [[-reach, reach]] * 2)
    return Image.fromarray(np.where(counts > 0, 0, 255).astype(np.uint8))
