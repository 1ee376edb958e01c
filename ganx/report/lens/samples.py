"""What the generator draws."""

from __future__ import annotations

import numpy as np

from ganx import codes
from ganx.gan import Gan
from ganx.lens import ImageGrid, Inquiry, Section, register

_ROWS, _COLUMNS = 6, 8


@register("samples", order=10, title="What it draws")
def samples(gan: Gan, inquiry: Inquiry) -> Section:
    """A sheet of samples, neither picked nor truncated."""
    z, label = gan.latents(inquiry.key, _ROWS * _COLUMNS), gan.labels(inquiry.key, _ROWS)
    if label is not None:  # a row a class
        label = label.repeat(_COLUMNS)
    pictures = codes.paint(gan, codes.encode_jit(gan, z, label=label), limit=128, label=label)
    grid = pictures.reshape(_ROWS, _COLUMNS, *pictures.shape[1:])
    lead = "Images for random latent codes, in the order in which they were drawn: none was picked."
    numbers = {"mean": float(pictures.mean() / 127.5 - 1), "diversity": diversity(pictures)}
    rows = () if label is None else tuple(f"class {c}" for c in np.asarray(label)[::_COLUMNS])
    figure = ImageGrid(grid, f"{_ROWS * _COLUMNS} samples.", rows, cell=122, wrap=not rows)
    arrays = {"z": np.asarray(z), "images": pictures} | ({"label": np.asarray(label)} if rows else {})
    return Section(lead, (figure,), numbers, arrays)


def diversity(pictures: np.ndarray) -> float:
    """Standard deviation of a pixel over samples, of the range [-1, 1], on average over pixels."""
    return float(pictures.astype(np.float32).std(0).mean() / 127.5)
