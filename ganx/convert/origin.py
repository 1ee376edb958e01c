"""Where an imported GAN came from, kept beside it, so that `ganx export` can give it back under the same names.

DIR/source.json          the layout, its facts, and for each network the key map with the shapes and types of the file
DIR/source.safetensors   tensors that cannot be worked out from the variables: those that the layout ignores, and
                         those that came through a transform which rounds
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from ganx.convert import safetensors, transforms
from ganx.convert.keymap import Entry, Source, convert, is_under
from ganx.errors import GanxError, one_line

FORMAT = 1
MAP = "source.json"
KEPT = "source.safetensors"
# The networks that a saved GAN may have. A run trains the live ones on and averages the first.
PARTS = ("generator", "live", "discriminator")
# An inexact tensor of more bytes is not kept; it comes back rounded.
MAX_KEPT = 1 << 20
Kept = dict[tuple[str, str], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a key map, and the shape and dtype that the file's tensor has."""

    source: str
    target: str
    transform: str
    shape: tuple[int, ...]
    dtype: str


@dataclasses.dataclass(frozen=True)
class Origin:
    """What an imported GAN needs in order to go back.

    Attributes:
      layout: whose key names these are, such as "genforce".
      parts: the key map of each network that was taken, by its name in `PARTS`.
      separate: whether the discriminator came from a file of its own.
      facts: the facts that stood beside the tensors of these networks.
      kept: tensors that variables alone do not give back, by part and name.
    """

    layout: str
    parts: Mapping[str, tuple[Line, ...]]
    separate: bool
    facts: Mapping[str, Any]
    kept: Kept


def lines(entries: Sequence[Entry], source: Source) -> tuple[Line, ...]:
    """A key map with what the file says of each tensor."""
    found = [(entry, native(source.tensors[entry.source])) for entry in entries]
    return tuple(Line(e.source, e.target, e.transform, tuple(t.shape), str(t.dtype)) for e, t in found)


def to_keep(maps: Mapping[str, Sequence[Entry]], roots: Mapping[str, str], source: Source) -> Kept:
    """The tensors of a file's networks that their variables alone do not give back: unused ones, and inexact ones.

    Args:
      maps: the key map of each part that was taken from this file.
      roots: the prefix under which it lies.
    """
    kept = {}
    used = {entry.source for entries in maps.values() for entry in entries}
    for name in source.tensors:
        owners = [part for part, root in roots.items() if is_under(name, root)]
        if name not in used and owners:
            kept[max(owners, key=lambda part: len(roots[part])), name] = native(source.tensors[name])
    for part, entries in maps.items():
        for entry in entries:
            tensor = source.tensors[entry.source]
            if not _comes_back(tensor, entry.transform) and tensor.nbytes <= MAX_KEPT:
                kept[part, entry.source] = native(tensor)
    return kept


def facts_under(roots: Sequence[str], source: Source) -> dict[str, Any]:
    """The facts of the networks that were taken; all of them for a state dict at the top."""
    return {name: fact for name, fact in source.facts.items() if any(is_under(name, root) for root in roots)}


def write(origin: Origin, directory: epath.PathLike) -> None:
    """Writes both files into a saved GAN's folder."""
    folder = epath.Path(directory)
    fields = {
        "format": FORMAT,
        "layout": origin.layout,
        "separate": origin.separate,
        "facts": dict(origin.facts),
        "parts": {part: [dataclasses.astuple(line) for line in lines] for part, lines in origin.parts.items()},
    }
    kept = {f"{part}/{name}": array for (part, name), array in origin.kept.items()}
    (folder / MAP).write_text(json.dumps(fields) + "\n")
    (folder / KEPT).write_bytes(b"".join(safetensors.chunks(kept, {})))


def read(directory: epath.PathLike) -> Origin | None:
    """What `write` wrote; None for a GAN that was not imported.

    Raises:
      GanxError: the files are damaged, or of another format.
    """
    folder = epath.Path(directory)
    if not (folder / MAP).exists():
        return None
    try:
        fields = json.loads((folder / MAP).read_text())
        if fields["format"] != FORMAT:
            raise ValueError(f"format {fields['format']}, this ganx reads {FORMAT}")
        tensors = safetensors.from_memory((folder / KEPT).read_bytes()).tensors
        kept = {(part, name): array for key, array in tensors.items() for part, _, name in [key.partition("/")]}
        parts = {part: tuple(_line(*line) for line in listed) for part, listed in fields["parts"].items()}
        return Origin(fields["layout"], parts, bool(fields["separate"]), dict(fields["facts"]), kept)
    except (ValueError, KeyError, TypeError, AttributeError, OSError, GanxError) as error:
        raise GanxError(f"{folder / MAP} or {KEPT} is damaged ({one_line(error)}); import the model again") from error


def copy(source: epath.PathLike, target: epath.PathLike) -> None:
    """Hands a GAN's origin on to another folder, such as the run that trains it on; does nothing if it has none."""
    for name in (MAP, KEPT):
        if (epath.Path(source) / name).exists():
            (epath.Path(target) / name).write_bytes((epath.Path(source) / name).read_bytes())


def restored(line: Line, variable: np.ndarray, original: np.ndarray | None) -> np.ndarray:
    """The file's tensor out of a variable: the very original where the variable is still what became of it.

    Raises:
      GanxError: the variable no longer has the shape that the key map knows.
    """
    if original is not None:
        then = convert(Entry(line.source, line.target, line.transform), original, variable.shape)
        if np.array_equal(then, variable):
            return original
    try:
        tensor = transforms.backward(line.transform, variable, line.shape)
    except (ValueError, IndexError):
        tensor = variable
    if tensor.shape != line.shape:
        raise GanxError(f"{line.target} has shape {list(variable.shape)}, of which {line.source} cannot be made")
    return tensor.astype(safetensors.dtype(line.dtype))


def _line(source: str, target: str, transform: str, shape: list[int], dtype: str) -> Line:
    return Line(source, target, transform, tuple(shape), dtype)


def native(tensor: np.ndarray) -> np.ndarray:
    """The same numbers in this machine's byte order."""
    return tensor.astype(tensor.dtype.newbyteorder("="), copy=False)


def _comes_back(tensor: np.ndarray, transform: str) -> bool:
    """Whether the variable, float32, tells every bit of the tensor."""
    return tensor.dtype.kind in "fV" and tensor.dtype.itemsize <= 4 and transforms.is_exact(transform)
