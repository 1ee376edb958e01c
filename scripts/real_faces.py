"""How well a segmenter that learned from drawn faces reads real ones, by points that were marked by hand.

    python scripts/real_faces.py 'zip:utkface64_2500.zip' 'unet:faces?size=32' 'unet:faces?size=64'

The pictures are 24 aligned faces of 64 pixels, evenly spread over UTKFace's subset of 2,500; the points are the centres
of both eyes and of the mouth. For eyes and mouth the table says how many of the points have a pixel of that class
within 5 pixels of 64, what share of the pixels of the class lies so near a point, and what share would by chance; for
the face, what share of the triangle between the points is read as something of a face. Brows and glasses count as no
eyes. With --count N faces it says besides how much of the pictures each class takes.
"""

from __future__ import annotations

import argparse

import jax.numpy as jnp
import numpy as np

from ganx.data import open_source
from ganx.data.prepare import with_options
from ganx.segment import Segmenter
from ganx.segmenters import open_segmenter

POINTS = np.array([
    [18, 18, 46, 18, 32.5, 45], [19, 19, 44, 19, 31, 44], [19.5, 19, 49, 19, 32, 44.5], [19, 19, 43, 19, 31, 45],
    [19.5, 18, 44, 18, 32, 36], [20, 15.5, 43, 16, 29.5, 37], [19, 19, 44, 19, 31, 45], [19, 20, 43, 20, 31, 45],
    [20, 19, 45.5, 19, 32, 45], [20, 19, 45.5, 19, 36, 46], [19, 20, 45.5, 19, 32, 44.5], [18, 20, 44, 19.5, 31, 46],
    [19, 18, 45, 18, 32.5, 45.5], [19, 17, 42.5, 17.5, 28, 46], [19, 19, 45.5, 18, 31, 45.5], [18, 18, 44, 18, 31, 45],
    [19.5, 19, 44.5, 19, 34, 44], [17.5, 19, 44, 19, 32.5, 44.5], [19.5, 19, 44, 19, 31, 46],
    [19.5, 19, 44.5, 19, 31, 46], [18, 20, 45.5, 19, 32.5, 45], [20, 19, 42.5, 19, 28, 46], [19, 19, 45, 19, 32, 46],
    [15.5, 18, 45, 19, 31, 44],
]).reshape(24, 3, 2)  # fmt: skip
"""x and y of the eyes (left and right in the picture) and of the mouth, in pixels of 64."""
PARTS = {"eyes": (("left eye", "right eye", "iris"), (0, 1)), "mouth": (("lips", "teeth"), (2,))}
NO_FACE = ("none", "background", "clothes", "neck", "hair")
NEAR = 5


def read(segmenter: Segmenter, source: str, size: int, rows: int | None) -> np.ndarray:
    """Labels int `[n, size, size]` of the faces with points, or of `rows` faces."""
    faces = open_source(with_options(source, {"size": str(size)}))
    index = np.linspace(0, len(faces) - 1, rows or len(POINTS)).round().astype(np.int64)
    parts = [faces.gather(part).image for part in np.array_split(index, -(-len(index) // 32))]
    return np.concatenate([np.asarray(segmenter(jnp.asarray(x / 127.5 - 1, jnp.float32))) for x in parts])


def part(labels: np.ndarray, names: tuple[str, ...], classes: tuple[str, ...], points: np.ndarray) -> tuple[str, ...]:
    """Points found, share of the class's pixels that are near one, and share of all pixels that are."""
    size = labels.shape[1]
    at = (np.arange(size) + 0.5) * 64 / size
    far = np.hypot(at[None, None, None] - points[..., 0, None, None], at[:, None] - points[..., 1, None, None])
    near, found = far <= NEAR, np.isin(labels, [names.index(name) for name in classes])
    hits = (near & found[:, None]).any((2, 3))
    inside = found & near.any(1)
    return f"{hits.sum()} of {hits.size}", f"{inside.sum() / max(found.sum(), 1):.0%}", f"{near.any(1).mean():.0%}"


def triangle(size: int) -> np.ndarray:
    """Pixels between the three points of every face, bool `[24, size, size]`."""
    at = (np.arange(size) + 0.5) * 64 / size
    x, y = np.meshgrid(at, at)
    left, right, mouth = (POINTS[:, i, :, None, None] for i in range(3))
    side = [(b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (b[:, 1] - a[:, 1]) * (x - a[:, 0])
            for a, b in ((left, right), (right, mouth), (mouth, left))]  # fmt: skip
    return np.all([s >= 0 for s in side], 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("faces", help="the subset of UTKFace, such as zip:utkface64_2500.zip")
    parser.add_argument("segmenters", nargs="+", help="such as unet:faces?size=32")
    parser.add_argument("--count", type=int, default=256, help="faces that shares of classes are taken of")
    args = parser.parse_args()
    rows = []
    for name in args.segmenters:
        segmenter = open_segmenter(name)
        size = int(name.partition("size=")[2] or 64)
        labels, names = read(segmenter, args.faces, size, None), segmenter.names
        for what, (classes, which) in PARTS.items():
            rows.append((name, what, *part(labels, names, classes, POINTS[:, which])))
        inside = triangle(size)
        face = ~np.isin(labels, [names.index(n) for n in NO_FACE if n in names])
        rows.append((name, "face", "", f"{face[inside].mean():.0%}", ""))
        shares = np.bincount(read(segmenter, args.faces, size, args.count).ravel(), minlength=len(names))
        told = [f"{n} {s:.1%}" for n, s in zip(names, shares / shares.sum(), strict=True) if s]
        print(f"{name}: {', '.join(told)}", flush=True)
    header = ("segmenter", "what", "points found", "of its pixels near one, or read as a face", "by chance")
    print("\n" + "\n".join("| " + " | ".join(line) + " |" for line in (header, ("---",) * len(header), *rows)))


if __name__ == "__main__":
    main()
