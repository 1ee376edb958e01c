"""Groups on disk: `groups.npz` beside a saved GAN, or what a training run's newest checkpoint holds.

    gan, concepts = open_concepts("runs/igan")
    features = concepts.cut.lower(gan, z).features  # float32 [n, h, w, m]; concepts.labels says whose each filter is

The file holds the labels, the cut, W and what W is applied to.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from typing import Any

import jax
import numpy as np
from etils import epath

from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.grouped import FILE, check_current, run_grouping
from ganx.igan.cut import Cut, choose_cut
from ganx.igan.energy import PAPER, EnergyForm
from ganx.igan.state import new_memory
from ganx.store import find, load, load_tree, newest


@dataclasses.dataclass(frozen=True)
class Concepts:
    """Which filters of a generator belong together.

    Attributes:
      cut: where.
      labels: group of every filter, int32 `[m]`.
      groups: number of groups.
      weights: W, float32 `[k, m, c]`; None where there is no energy.
      form, smooth: of the energy that W belongs to, see `energy.EnergyForm` and `smooth.smoothed`.
    """

    cut: Cut
    labels: np.ndarray
    groups: int
    weights: np.ndarray | None = None
    form: EnergyForm = PAPER
    smooth: float = 0.0


def save_concepts(concepts: Concepts, directory: epath.PathLike) -> None:
    """Writes the groups beside a GAN that is saved there."""
    arrays: dict[str, Any] = {
        "stage": np.array(concepts.cut.stage),
        "labels": np.asarray(concepts.labels, np.int32),
        "groups": np.array(concepts.groups),
        "form": np.array(json.dumps(dataclasses.asdict(concepts.form))),
        "smooth": np.array(concepts.smooth),
    }
    if concepts.weights is not None:
        arrays["weights"] = np.asarray(concepts.weights, np.float32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    (epath.Path(directory) / FILE).write_bytes(buffer.getvalue())


def open_concepts(path: epath.PathLike) -> tuple[Gan, Concepts | None]:
    """A GAN and its groups: None if it was never grouped.

    Args:
      path: a run of interpretability training, or any GAN that `ganx.load` opens.

    Raises:
      GanxError: no GAN there, or groups that are damaged or of another GAN.
    """
    gan, directory = load(path), find(path)
    if (directory / FILE).exists():
        return gan, _checked(_read(directory / FILE), gan, directory)
    return gan, _of_run(gan, directory)


def _read(path: epath.Path) -> Concepts:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            check_current(file, path)
            cut = Cut(str(file["stage"]))
            weights = file.get("weights", None)
            form = EnergyForm(**json.loads(str(file["form"])))
            return Concepts(cut, file["labels"], int(file["groups"]), weights, form, float(file["smooth"]))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise GanxError(f"{path} is damaged ({type(error).__name__}); group the filters again: ganx groups") from None


def _checked(concepts: Concepts, gan: Gan, directory: epath.Path) -> Concepts:
    """Refuses groups that cannot be of this generator."""
    choose_cut(gan, concepts.cut.stage)
    filters, labels = gan.shapes[concepts.cut.stage][-1], concepts.labels
    if labels.shape != (filters,) or labels.min(initial=0) < 0 or labels.max(initial=0) >= concepts.groups:
        raise GanxError(f"{directory / FILE} holds groups of another GAN; group the filters again: ganx groups")
    return concepts


def _of_run(gan: Gan, directory: epath.Path) -> Concepts | None:
    found = run_grouping(directory, gan)
    if found is None:
        return None
    config = json.loads((directory / "config.json").read_text())["igan"]
    height, width, filters = gan.shapes[found.stage]
    weights = jax.eval_shape(lambda: new_memory(height * width, filters, config["groups"])).weights
    weights = load_tree(newest(directory), {"igan": {"weights": weights}}, "state")["igan"]["weights"]
    form, cut = EnergyForm(**config["energy"]), Cut(found.stage)
    return Concepts(cut, found.labels, config["groups"], np.asarray(weights), form, config.get("smooth", 0.0))
