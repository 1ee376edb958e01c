"""Named directions in a file, so that a direction once looked at can be used by its name.

The file is JSON: a list of entries with a label, the direction's method, index, layers, sign and useful interval, and
the vector itself, so that it serves whatever found it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from ganx import codes
from ganx.errors import GanxError, unknown
from ganx.gan import Gan
from ganx.sefa.directions import Directions, code_space, moved_layers

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Annotation:
    """A named direction.

    Attributes:
      label: what users call it.
      index: which of the method's directions it is, from 0.
      layers: which layers it moves.
      sign: -1 where the label's meaning grows against the method's direction.
      interval: amounts between which it is useful, after the sign.
      vector: float32 `[d]` of unit length, before the sign.
      method, space: as in `Directions`.
    """

    label: str
    index: int
    layers: tuple[int, ...]
    sign: int
    interval: tuple[float, float]
    vector: np.ndarray
    method: str = "sefa"
    space: str = "z"

    def as_directions(self, gan: Gan) -> Directions:
        """The one direction, pointing where its label grows.

        Raises:
          GanxError: it belongs to another generator.
        """
        width = gan.spec.latent[-1] if self.space == "z" else codes.code_shape(gan)[-1]
        if len(self.vector) != width or (self.space == "w" and code_space(gan) != "w"):
            raise GanxError(
                f"direction {self.label!r} has {len(self.vector)} entries; it is of another GAN than this one"
            )
        chosen, stages = moved_layers(gan, self.layers)
        one = np.ones(1, np.float32)
        return Directions(
            chosen, stages, self.sign * self.vector[None], one, self.space, self.method, 1, names=(self.label,)
        )


def annotate(
    directions: Directions,
    names: Mapping[int, str],
    flip: Sequence[int] = (),
    interval: tuple[float, float] = (-3.0, 3.0),
) -> tuple[Annotation, ...]:
    """Annotations of some directions.

    Args:
      names: labels by index, from 0.
      flip: indices whose sign is turned.
    """
    for index in [*names, *flip]:
        if not 0 <= index < len(directions):
            raise GanxError(f"direction {index} does not exist; there are {len(directions)}, numbered from 0")
    return tuple(
        Annotation(
            label,
            index,
            directions.layers,
            -1 if index in flip else 1,
            interval,
            directions.vectors[index],
            directions.method,
            directions.space,
        )
        for index, label in names.items()
    )


def save_annotations(path: epath.PathLike, new: Sequence[Annotation]) -> tuple[Annotation, ...]:
    """Adds annotations to a file, in place of those of the same label; returns all that it then holds."""
    file = epath.Path(path)
    kept = {a.label: a for a in load_annotations(file)} if file.exists() else {}
    kept |= {a.label: a for a in new}
    entries = [{**dataclasses.asdict(a), "vector": [float(x) for x in a.vector]} for a in kept.values()]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"format": FORMAT, "directions": entries}, indent=1) + "\n")
    except OSError as error:
        raise GanxError(f"cannot write {file}: {error.strerror or error}; choose another place") from None
    return tuple(kept.values())


def load_annotations(path: epath.PathLike) -> tuple[Annotation, ...]:
    """The annotations of a file.

    Raises:
      GanxError: no such file, or not one of these.
    """
    file = epath.Path(path)
    if not file.exists():
        raise GanxError(
            f"no annotation file at {file}; write one with: ganx sefa GAN --name 0=LABEL --annotations {file}"
        )
    try:
        found = json.loads(file.read_text())
        if found["format"] != FORMAT:
            raise GanxError(f"{file} has annotation format {found['format']}, this ganx reads {FORMAT}")
        return tuple(_entry(entry) for entry in found["directions"])
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        raise GanxError(f"{file} is no annotation file, or damaged; write it again") from None


def named(path: epath.PathLike, label: str) -> Annotation:
    """The annotation of a label, or a `GanxError` with the labels that there are."""
    found = {a.label: a for a in load_annotations(path)}
    if label not in found:
        raise unknown("direction", label, found)
    return found[label]


def _entry(entry: Mapping[str, Any]) -> Annotation:
    vector = np.asarray(entry["vector"], np.float32)
    low, high = (float(x) for x in entry["interval"])
    layers = tuple(int(i) for i in entry["layers"])
    if vector.ndim != 1 or entry["sign"] not in (-1, 1):
        raise ValueError(entry["label"])
    return Annotation(
        str(entry["label"]),
        int(entry["index"]),
        layers,
        int(entry["sign"]),
        (low, high),
        vector,
        str(entry["method"]),
        str(entry["space"]),
    )
