"""A `Gan` goes back: its tensors as safetensors, under the names of the checkpoint that it was imported from."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from etils import epath

from ganx import store
from ganx.convert import origin as origins
from ganx.convert import safetensors
from ganx.convert.keymap import flat
from ganx.convert.origin import Origin
from ganx.errors import GanxError


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
      files: the files, by path, each with the number of its tensors; two where the GAN came in two files.
      layout: whose key names they use, "" for ganx's own.
      left: networks of the GAN that the checkpoint it came from did not have, and that were not written.
      rectified: stage after which the generator has a ReLU, which no tensor says; "" for none.
    """

    files: Mapping[Path, int]
    layout: str
    left: tuple[str, ...]
    rectified: str


def export_gan(gan: epath.PathLike, path: str | os.PathLike[str]) -> Exported:
    """Writes a saved GAN or a run as safetensors.

    A GAN that was imported, trained on or not, gets the very keys, shapes and dtypes of the checkpoint that it came
    from, in which untouched float32 tensors are equal to the last bit. One that ganx trained from the start gets the
    paths of ganx's variables, such as `generator.params.layer3.kernel`.

    Args:
      gan: a folder or a bundled name.
      path: the file to write. A discriminator that came in a file of its own goes beside it, as
        `NAME.discriminator.safetensors`.

    Raises:
      GanxError: there is no such GAN, it no longer fits its key map, or the file cannot be written.
    """
    networks = _networks(gan)
    rectified = store.read_manifest(store.find(gan)).generator.get("rectified", "")
    origin = origins.read(store.find(gan))
    path = Path(path)
    if origin is None:
        tensors = {f"{part}.{k.replace('/', '.')}": v for part, leaves in networks.items() for k, v in leaves.items()}
        safetensors.write(path, tensors, {})
        return Exported({path: len(tensors)}, "", (), rectified)
    files = {}
    for file, parts in _files(origin, path).items():
        tensors = {name: array for part in parts for name, array in _tensors(origin, part, networks)}
        safetensors.write(file, tensors, origin.facts)
        files[file] = len(tensors)
    left = tuple(part for part in networks if part not in origin.parts)
    return Exported(files, origin.layout, left, rectified)


def _networks(gan: epath.PathLike) -> dict[str, dict[str, np.ndarray]]:
    """The variables of each network by path; no network without variables."""
    found: dict[str, Any] = {"generator": store.load(gan).variables, "live": store.load_live(gan)}
    if store.read_manifest(store.find(gan)).discriminator is not None:
        found["discriminator"] = store.load_discriminator(gan)[1]
    return {part: {k: np.asarray(v) for k, v in flat(tree).items()} for part, tree in found.items() if tree is not None}


def _files(origin: Origin, path: Path) -> dict[Path, tuple[str, ...]]:
    if not origin.separate:
        return {path: origins.PARTS}
    beside = path.with_name(f"{path.name.removesuffix('.safetensors')}.discriminator.safetensors")
    return {path: origins.PARTS[:2], beside: origins.PARTS[2:]}


def _tensors(
    origin: Origin, part: str, networks: Mapping[str, Mapping[str, np.ndarray]]
) -> Iterator[tuple[str, np.ndarray]]:
    """One network's tensors under the names of the file, the ones that it ignores included."""
    lines = origin.parts.get(part, ())
    if lines and part not in networks:
        raise GanxError(f"the checkpoint had a {part} network and this GAN has none; export the GAN as imported")
    for line in lines:
        if line.target not in networks[part]:
            raise GanxError(f"this GAN has no {line.target}, which {line.source} was; it is of another architecture")
        yield line.source, origins.restored(line, networks[part][line.target], origin.kept.get((part, line.source)))
    used = {line.source for line in lines}
    yield from ((name, array) for (owner, name), array in origin.kept.items() if owner == part and name not in used)
