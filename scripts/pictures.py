"""The pictures of README.md, made from a GAN: python scripts/pictures.py runs/demo docs"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import ganx
from ganx.pictures import enlarge, heat, sheet, to_uint8
from ganx.sefa import edit, factorize

WHITE, INK, SIZE = (255, 255, 255), (60, 60, 70), 128


def cut_picture(gan: ganx.Gan, key: jax.Array) -> Image.Image:
    """One sample on its way through the stages: the strongest filters of each, then the image."""
    z = gan.latents(key, 64)
    columns = []
    for stage in gan.stages[:-1]:
        features = np.asarray(gan.until(stage, z).features)
        strongest = np.argsort(-features.std(0).mean((0, 1)))[:9]
        maps = features[0][..., strongest].transpose(2, 0, 1)
        tiles = enlarge(heat(maps, np.abs(maps).max() or 1.0), 40 // maps.shape[1] or 1)
        columns.append((stage, sheet(tiles.reshape(3, 3, *tiles.shape[1:]), gap=2)))
    image = np.asarray(to_uint8(gan(z)[0]))
    columns.append(("image", enlarge(image, max(1, SIZE // image.shape[0]))))
    return row(columns)


def row(columns: list[tuple[str, np.ndarray]]) -> Image.Image:
    """Pictures of one height side by side, an arrow between them, a name under each."""
    font, gap, caption = ImageFont.load_default(14), 34, 22
    tiles = [Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.NEAREST) for _, picture in columns]
    canvas = Image.new("RGB", (len(tiles) * (SIZE + gap) - gap + 2 * gap, SIZE + caption), WHITE)
    draw = ImageDraw.Draw(canvas)
    draw.text((2, SIZE // 2 - 9), "z", INK, font)
    for i, (tile, (name, _)) in enumerate(zip(tiles, columns, strict=True)):
        x = gap + i * (SIZE + gap)
        tip, middle = x - 6, SIZE // 2
        draw.line([(x - gap + 12, middle), (tip, middle)], INK, 2)
        draw.polygon([(tip, middle), (tip - 7, middle - 5), (tip - 7, middle + 5)], INK)
        canvas.paste(tile, (x, 0))
        draw.text((x + 2, SIZE + 2), name, INK, font)
    return canvas


def samples_picture(gan: ganx.Gan, key: jax.Array, rows: int = 4, columns: int = 12) -> Image.Image:
    """A sheet of samples."""
    images = np.asarray(to_uint8(gan(gan.latents(key, rows * columns))))
    images = enlarge(images, max(1, 64 // images.shape[1]))
    return Image.fromarray(sheet(images.reshape(rows, columns, *images.shape[1:]), gap=4))


def sefa_picture(gan: ganx.Gan, key: jax.Array, directions: list[int], reach: float, steps: int = 9) -> Image.Image:
    """One row a direction, the unedited image in the middle."""
    z = gan.latents(key, 1)
    vectors = factorize(gan).vectors
    amounts = np.linspace(-reach, reach, steps)
    strips = np.stack([np.asarray(to_uint8(edit(gan, z, vectors[d], amounts)[0])) for d in directions])
    return Image.fromarray(sheet(enlarge(strips, max(1, 64 // strips.shape[2])), gap=4))


def main() -> None:
    """Writes samples.png, stages.png and sefa.png."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("gan")
    options.add_argument("out", type=Path)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--directions", default="0,1,2", help="SeFa directions shown")
    options.add_argument("--reach", type=float, default=6.0, help="how far along them")
    args = options.parse_args()
    gan = ganx.load(args.gan)
    key = jax.random.key(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    samples_picture(gan, key).save(args.out / "samples.png", optimize=True)
    cut_picture(gan, jax.random.fold_in(key, 1)).save(args.out / "stages.png", optimize=True)
    chosen = [int(d) for d in args.directions.split(",")]
    sefa_picture(gan, jax.random.fold_in(key, 2), chosen, args.reach).save(args.out / "sefa.png", optimize=True)


if __name__ == "__main__":
    main()
