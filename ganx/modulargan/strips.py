"""Compositions as pictures: strips with the masks on the way, and grids over two attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from ganx.data import open_source
from ganx.data.feed import to_float
from ganx.errors import GanxError, unknown
from ganx.modulargan.program import parse_program
from ganx.modulargan.translator import Composition, Translator
from ganx.pictures import heat, to_uint8


def source_images(model: Translator, source: str, n: int, split: str = "test") -> jax.Array:
    """The first `n` images of a source, float32 `[n, H, W, C]` in [-1, 1], at the size that the model takes.

    Args:
      source: as for `ganx.data.open_source`; `size=` and a world's `split=` are added where they are missing.
    """
    if source.startswith("world:"):
        source = _with(_with(source, "size", model.module.resolution), "split", split)
    elif "size=" not in source:
        source = _with(_with(source, "size", model.module.resolution), "crop", "center-square")
    opened = open_source(source)
    if len(opened) < 1:
        raise GanxError(f"{source} has no images; give another with --images")
    return to_float(jnp.asarray(opened.gather(np.arange(min(n, len(opened)))).image))


def codes(model: Translator, n: int, content: str = "", seed: int = 0) -> tuple[jax.Array, jax.Array]:
    """Codes float32 `[n, latent]` of a modular GAN that generates, and contents int32 `[n]`: numbers with commas,
    repeated until there are enough, or all contents in turn.

    Raises:
      GanxError: contents that it does not have.
    """
    classes = model.module.classes
    wanted = [part.strip() for part in content.split(",") if part.strip()] or [str(i) for i in range(classes)]
    for part in wanted:
        if not (part.isdecimal() and int(part) < classes):
            raise GanxError(f"no content {part!r}; write numbers from 0 to {classes - 1}, such as --content 0,1")
    z = jax.random.normal(jax.random.key(seed), (n, model.module.latent))
    return z, jnp.resize(jnp.asarray([int(part) for part in wanted], jnp.int32), (n,))


def _with(source: str, option: str, value: Any) -> str:
    if f"{option}=" in source:
        return source
    return f"{source}{'&' if '?' in source else '?'}{option}={value}"


def strip(given: jax.Array | None, made: Composition) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pictures uint8 `[n, columns, H, W, 3]` and the columns' names: the image, its reconstruction, then for every
    step the image after it and its mask, and last the masks of all steps added. `given` None: what was drawn from codes
    stands for the first two."""
    size = made.image.shape[1]
    columns, names = [to_uint8(made.reconstruction)], ["drawn"]
    if given is not None:
        columns, names = [to_uint8(given), *columns], ["image", "reconstruction"]
    for stage, mask, step in zip(made.stages, made.masks, made.steps, strict=True):
        columns += [to_uint8(stage), mask_picture(mask, size)]
        names += [step, f"mask of {step.partition('=')[0]}"]
    if len(made.steps) > 1:
        columns.append(mask_picture(made.mask, size))
        names.append("all masks")
    return np.stack([_rgb(np.asarray(column)) for column in columns], 1), tuple(names)


def mask_picture(mask: jax.Array, size: int) -> np.ndarray:
    """A mask `[n, h, w, 1]` as heat colours `[n, size, size, 3]`, each cell a square."""
    values = np.asarray(mask)[..., 0]
    factor = size // values.shape[1]
    return heat(values.repeat(factor, 1).repeat(factor, 2), 1.0)


def grid(
    model: Translator, image: jax.Array, down: str, across: str, label: jax.Array | None = None
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """One image (or code, with its content `label`, int32) under all pairs of values of two attributes.

    Returns:
      uint8 `[values of down, values of across, H, W, 3]`, and the names of rows and columns. All cells are one batch.
    """
    known = model.attributes
    for name in (down, across):
        if name not in known:
            raise unknown("module", name, known)
    rows, columns = known[down], known[across]
    programs = [parse_program([(down, r), (across, c)], known) for r in rows for c in columns]
    batch = jnp.broadcast_to(image, (len(programs), *image.shape))
    contents = None if label is None else jnp.broadcast_to(label, len(programs))
    pictures = _rgb(np.asarray(to_uint8(model.compose(batch, programs, contents).image)))
    pictures = pictures.reshape(len(rows), len(columns), *pictures.shape[1:])
    return pictures, tuple(f"{down}={v}" for v in rows), tuple(f"{across}={v}" for v in columns)


def read_images(model: Translator, path: str, n: int) -> jax.Array:
    """Images of a source, or one picture file, `[n, H, W, C]` in [-1, 1]."""
    if not path.lower().endswith((".png", ".jpg", ".jpeg", ".webp")):
        return source_images(model, path, n)
    side = model.module.resolution
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB" if model.module.channels == 3 else "L")
    except OSError as error:
        raise GanxError(f"cannot read {path} ({error.strerror or 'no picture'}); give a picture or a source") from None
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    picture = picture.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.LANCZOS)
    return to_float(jnp.asarray(np.asarray(picture, np.uint8).reshape(1, side, side, -1)))


def steps_of(made: Composition) -> Iterator[str]:
    """One line a step: what it did and how much of the picture its mask covers."""
    for step, mask in zip(made.steps, np.asarray(made.masks), strict=True):
        yield f"{step}: mask covers {mask.mean():.0%} of the picture"


def _rgb(pictures: np.ndarray) -> np.ndarray:
    return pictures if pictures.shape[-1] == 3 else pictures.repeat(3, -1)
