"""What a segmenter makes of pictures, to be looked at: a sheet with a legend, and the share of every class."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw

from ganx.data import open_source
from ganx.data.sheet import colour_mask
from ganx.errors import GanxError
from ganx.pictures import enlarge, sheet, shrink, to_uint8
from ganx.segment import Segmenter, channels, checked, note
from ganx.segmenters.registry import open_segmenter
from ganx.store import MANIFEST, bundled, load

_SIDE, _LINE, _COLUMN = 96, 14, 160
_BATCH = 32


def show(name: str, pictures: str, out: str, count: int = 24, seed: int = 0) -> list[str]:
    """Writes a sheet of pictures beside what a segmenter reads in them, and the masks where the source has any.

    Args:
      name: of the segmenter, see `open_segmenter`.
      pictures: a source, or a GAN whose samples are read.
      out: the PNG.
      count: how many pictures.
      seed: of a GAN's latents.

    Returns:
      Lines to be said: how good the segmenter is, where that is known, and each class's share of the pixels.
    """
    if count < 1:
        raise GanxError(f"a sheet has 1 picture or more, not {count}")
    images, masks = _pictures(pictures, count, seed)
    segmenter = open_segmenter(name)
    parts = [images[i : i + _BATCH] for i in range(0, len(images), _BATCH)]
    read = [segmenter(jnp.asarray(part / 127.5 - 1, jnp.float32)) for part in parts]
    labels = np.concatenate([checked(x, segmenter, len(part)) for x, part in zip(read, parts, strict=True)])
    first = labels[:, 0]
    columns = [_three(images), colour_mask((first - 1).astype(np.uint8))]  # none is -1, which is 255: black
    columns += [] if masks is None else [colour_mask(masks)]
    try:
        _page([_fit(x) for x in columns], segmenter, first).save(out, "PNG")
    except OSError as error:
        raise GanxError(f"cannot write {out}: {error.strerror or error}; choose another place") from None
    area = np.array([(channels(labels) == i).any(1).mean() for i in range(len(segmenter.names))])
    shown = [i for i in np.argsort(-area, kind="stable") if area[i] > 0]
    said = [note(segmenter)] if note(segmenter) else []
    return [
        *said,
        "share of the pixels: " + ", ".join(f"{segmenter.names[i]} {area[i]:.1%}" for i in shown),
        str(Path(out)),
    ]


def _pictures(text: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Pictures uint8 `[n, H, W, C]`, and masks uint8 `[n, H, W]` where there are any."""
    if text in bundled() or (":" not in text and (Path(text) / MANIFEST).exists()):
        gan, key = load(text), jax.random.key(seed)
        drawn = gan(gan.latents(key, count), label=gan.labels(key, count))
        return np.asarray(to_uint8(np.asarray(drawn))), None
    source = open_source(text)
    if len(source.spec.shape) != 3:
        raise GanxError(f"{text} has no pictures to segment; give pictures or a GAN")
    example = source.gather(np.linspace(0, len(source) - 1, min(count, len(source))).round().astype(np.int64))
    return np.asarray(example.image), None if not source.spec.masks else np.asarray(example.mask)


def _three(images: np.ndarray) -> np.ndarray:
    return np.broadcast_to(images, (*images.shape[:3], 3))


def _fit(images: np.ndarray) -> np.ndarray:
    """Pictures `[n, H, W, 3]` of about 96 pixels."""
    return shrink(enlarge(images, max(1, round(_SIDE / max(images.shape[1:3])))), 2 * _SIDE)


def _page(columns: list[np.ndarray], segmenter: Segmenter, labels: np.ndarray) -> Image.Image:
    """Pictures with what was read to the right of them, and the colours of all classes that occur below."""
    height, width = columns[0].shape[1:3]
    tiles = np.stack([_resized(x, (height, width)) for x in columns], 1)  # [n, columns, h, w, 3]
    across = max(1, 960 // (len(columns) * width))
    missing = -len(tiles) % across
    padded = np.concatenate([tiles, np.full((missing, *tiles.shape[1:]), 255, np.uint8)])
    top = sheet(padded.reshape(-1, across * len(columns), height, width, 3))
    found = np.unique(labels)
    per_line = max(1, top.shape[1] // _COLUMN)
    page = Image.new("RGB", (top.shape[1], top.shape[0] + _LINE * (1 + -(-len(found) // per_line))), "white")
    page.paste(Image.fromarray(top), (0, 0))
    pen, colours = ImageDraw.Draw(page), colour_mask((found - 1).astype(np.uint8)[None])[0]
    for i, (label, colour) in enumerate(zip(found, colours, strict=True)):
        x, y = i % per_line * _COLUMN, top.shape[0] + _LINE // 2 + i // per_line * _LINE
        pen.rectangle((x, y, x + 10, y + 10), tuple(colour.tolist()))
        pen.text((x + 15, y - 1), segmenter.names[label], "black")
    return page


def _resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pictures of labels of another resolution at `size`, by nearest neighbour."""
    rows, columns = (np.arange(n) * have // n for n, have in zip(size, images.shape[1:3], strict=True))
    return images[:, rows[:, None], columns]
