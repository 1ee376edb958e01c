"""Pictures along directions as files: a strip sheet, animations, and the arrays."""

from __future__ import annotations

import io
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganx.gan import Gan
from ganx.pictures import animation, enlarge, png, sheet
from ganx.sefa import space as spaces
from ganx.sefa.batches import Samples
from ganx.sefa.directions import Directions
from ganx.sefa.edit import move

SIDE = 128
"""Larger pictures are averaged down to this many pixels a side."""

_SMALLEST = 64  # smaller pictures are enlarged by a whole factor
_MARGIN, _HEADER = 110, 18
_FPS = 12.0


def strips(gan: Gan, samples: Samples, directions: Directions, distances: np.ndarray) -> np.ndarray:
    """Pictures uint8 `[k, n, steps, H, W, C]` of samples moved along each direction.

    `distances` `[steps]` count in the directions' natural steps.
    """
    label = None if samples.label is None else samples.label[:, None]
    reach = jnp.asarray(distances, jnp.float32)
    rows = []
    for vector, step in zip(directions.vectors, directions.steps(), strict=True):
        moved = np.asarray(move(gan, samples.codes, vector, reach * step, directions.layers))
        rows.append(spaces.draw(gan, moved, SIDE, label))
    return np.stack(rows)


def strip_sheet(pictures: np.ndarray, labels: Sequence[str], distances: np.ndarray) -> bytes:
    """A PNG of `[k, n, steps, H, W, C]`: a row for each sample of each direction, a column for each distance."""
    pictures = readable(pictures)
    k, n, steps, side = pictures.shape[:4]
    body = sheet(pictures.reshape(k * n, steps, *pictures.shape[3:]))
    canvas = Image.new("RGB", (body.shape[1] + _MARGIN, body.shape[0] + _HEADER), "white")
    canvas.paste(Image.fromarray(np.broadcast_to(body, (*body.shape[:2], 3)).astype(np.uint8)), (_MARGIN, _HEADER))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default()
    for column, distance in enumerate(distances):
        pen.text((_MARGIN + column * (side + 2) + side // 2 - 10, 3), f"{distance:+.2g}", "black", font)
    for row, label in enumerate(labels):
        pen.text((4, _HEADER + row * n * (side + 2) + 4), label[:18], "black", font)
    return png(np.asarray(canvas))


def animated(pictures: np.ndarray, kind: str = "webp") -> bytes:
    """One direction's `[n, steps, H, W, C]` as an animation, there and back, the samples side by side."""
    pictures = readable(pictures)
    order = [*range(pictures.shape[1]), *range(pictures.shape[1] - 2, 0, -1)]
    frames = np.stack([sheet(pictures[None, :, step]) for step in order])
    return animation(frames, _FPS, quality=90) if kind == "webp" else _gif(frames)


def arrays_file(directions: Directions, samples: Samples, distances: np.ndarray) -> bytes:
    """An `.npz` under the names of the published tools: `layers`, `boundaries` `[k, d]`, `values` `[k]`, and besides
    `codes` `[n, ...]`, `z`, `distances`, `scales` (the natural step of each direction), `names`, `space`, `method`.

    `codes + distance * scale * boundary` in the layers named is the edited code.
    """
    buffer = io.BytesIO()
    names = [directions.label(i) for i in range(len(directions))]
    np.savez(
        buffer,
        layers=np.array(directions.layers),
        boundaries=directions.vectors,
        values=directions.values,
        codes=samples.codes,
        z=samples.z,
        distances=np.asarray(distances, np.float32),
        scales=directions.steps(),
        names=np.array(names),
        space=np.array(directions.space),
        method=np.array(directions.method),
    )
    return buffer.getvalue()


def readable(pictures: np.ndarray) -> np.ndarray:
    """Pictures enlarged by a whole factor to at least 64 pixels a side."""
    return enlarge(pictures, max(1, -(-_SMALLEST // pictures.shape[-2])))


def _gif(frames: np.ndarray) -> bytes:
    images = [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]
    buffer = io.BytesIO()
    duration = round(1000 / _FPS)
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0)
    return buffer.getvalue()
