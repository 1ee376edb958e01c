"""Inverting many pictures into a folder, resumably.

DIR/inverter/  DIR/direct/   the trained inverses, layer by layer and end to end
DIR/parts/                   inversions as they are finished, a batch a file
DIR/inversion.npz            codes, perturbations, features, reconstructions, what was inverted
DIR/inversion.json           settings and measures
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from etils import epath

from ganx.arrays import read_npz
from ganx.errors import GanxError
from ganx.numbers import to_json
from ganx.seeing.chain import Chain
from ganx.seeing.inverter import Inverter
from ganx.seeing.keeping import Keeper
from ganx.seeing.losses import Features
from ganx.seeing.methods import Inversion, InvertOptions, invert
from ganx.seeing.training import FitOptions, Report, fit
from ganx.training.mesh import make_mesh

RESULT, FACTS = "inversion.npz", "inversion.json"


def inverter(folder: epath.Path, chain: Chain, options: FitOptions, key: jax.Array, report: Report | None) -> Inverter:
    """The inverter saved in a folder; trains it first, from where training stopped, if it is not finished."""
    if trained(folder):
        return Inverter.load(folder, chain)
    found = fit(chain, key, options, report=report, keeper=Keeper.at(folder / "training"))
    found.save(folder)
    (folder / "training").rmtree()
    return found


def trained(folder: epath.Path) -> bool:
    """Whether a folder holds a finished inverter."""
    return (folder / "inverter.json").exists()


def invert_all(
    folder: epath.Path,
    chain: Chain,
    images: np.ndarray,
    options: InvertOptions,
    inverters: dict[str, Inverter],
    features: Features | None,
    label: np.ndarray | None,
    key: jax.Array,
    report: Callable[[int], None] | None = None,
) -> Inversion:
    """Inverts batch by batch; a batch whose file is there is not done again.

    `report` hears of the number of image updates done.
    """
    parts = folder / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    size = options.batch * make_mesh().size
    found = []
    for at in range(0, len(images), size):
        batch = images[at : at + size]
        path = parts / f"{at:07d}.npz"
        mark = zlib.crc32(batch.tobytes() + repr((options, chain.cuts)).encode())
        part = _read(path, mark)
        if part is None:
            told = (
                (lambda done, at=at, n=len(batch): report(at * options.steps + min(done, n * options.steps)))
                if report
                else None
            )
            classes = None if label is None else label[at : at + size]
            own = jax.random.fold_in(key, at)
            given = (inverters.get("layered"), inverters.get("direct"), features, classes, own)
            part = invert(chain, batch, options, *given, report=told)
            _write(path, part, mark)
        found.append(part)
    return _joined(found)


def write(
    folder: epath.PathLike, images: np.ndarray, names: tuple[str, ...], found: Inversion, facts: dict[str, Any]
) -> None:
    """Writes the result, and `facts` of it as JSON."""
    path = epath.Path(folder)
    with (path / RESULT).open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, target=images, names=np.asarray(names), **_arrays(found))
    (path / FACTS).write_text(to_json(facts))


def read(folder: epath.PathLike) -> tuple[np.ndarray, tuple[str, ...], Inversion]:
    """What `write` wrote: targets `[n, H, W, C]`, their names, and the inversion."""
    path = epath.Path(folder) / RESULT
    if not path.exists():
        raise GanxError(f"{folder} holds no {RESULT}; write one with ganx invert GAN IMAGES… --out {folder}")
    arrays = read_npz(path, "inversion", f"write one with ganx invert GAN IMAGES… --out {folder}")
    return arrays["target"], tuple(str(name) for name in arrays["names"]), _of_arrays(arrays)


def facts(folder: epath.PathLike) -> dict[str, Any]:
    """The facts that `write` wrote; none of a folder without them."""
    path = epath.Path(folder) / FACTS
    return json.loads(path.read_text()) if path.exists() else {}


def _arrays(found: Inversion) -> dict[str, np.ndarray]:
    plain = {f.name: getattr(found, f.name) for f in dataclasses.fields(found) if f.name != "deltas"}
    return plain | {f"deltas/{name}": delta for name, delta in found.deltas.items()}


def _of_arrays(arrays: dict[str, np.ndarray]) -> Inversion:
    deltas = {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith("deltas/")}
    plain = {f.name: arrays[f.name] for f in dataclasses.fields(Inversion) if f.name != "deltas"}
    return Inversion(**plain, deltas=deltas)


def _write(path: epath.Path, part: Inversion, mark: int) -> None:
    half = path.parent / f".{path.name}"
    with half.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, mark=mark, **_arrays(part))
    half.replace(path)


def _read(path: epath.Path, mark: int) -> Inversion | None:
    if not path.exists():
        return None
    data = read_npz(path, "part of an inversion", "delete it, and it is made again")
    if int(data["mark"]) != mark:
        raise GanxError(f"{path.parent.parent} holds inversions of other pictures or settings; give another --out")
    return _of_arrays(data)


def _joined(parts: list[Inversion]) -> Inversion:
    arrays = [_arrays(part) for part in parts]
    return _of_arrays({name: np.concatenate([a[name] for a in arrays]) for name in arrays[0]})
