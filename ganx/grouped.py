"""Which filters of a stage belong together, as interpretability training found it: read from a saved GAN or a run.

DIR/groups.npz     beside a saved GAN: at least `stage` and `labels`
DIR/checkpoints/   of a run: the newest one holds the labels, config.json the stage
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from ganx.arrays import read_npz
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.store import load_tree, newest, read_manifest

FILE = "groups.npz"
_IMAGE_CHANNELS = 4  # a stage with no more channels gives images, not features
_SIDE = 32  # the paper's target layer, in both of its experiments
_MEND = "give a run of ganx train --config configs/igan/…, or what ganx.igan.save_concepts wrote"


@dataclasses.dataclass(frozen=True)
class Grouping:
    """Filters of one stage in groups.

    Attributes:
      stage: name of the stage.
      labels: group of every filter, int32 `[m]`, from 0 up.
    """

    stage: str
    labels: np.ndarray


def target_stage(gan: Gan, stage: str = "") -> str:
    """`stage` if it has filters to group, or by default the last of the paper's size (which of that size is ours).

    The paper takes features of 32 x 32 for images of 64 and 128; we take at most half of the image, and leave at least
    one stage between the features and the one that makes the image: filters that are mixed into colours at once stand
    for strokes and colours, not for parts. So a DCGAN of 64 pixels is cut at 16 x 16, a BigGAN at 32 x 32.

    Raises:
      GanxError: no such stage, or one whose features are not maps `[h, w, m]` of more than four channels.
    """
    fits = [name for name, shape in gan.shapes.items() if len(shape) == 3 and shape[2] > _IMAGE_CHANNELS]
    if not stage:
        side = min(_SIDE, gan.spec.resolution // 2)
        early = [name for name in fits if gan.stages.index(name) < len(gan.stages) - 2] or fits
        small = [name for name in early if gan.shapes[name][0] <= side]
        if not small:
            raise GanxError(f"no stage of this {gan.spec.family} gives maps of at most {side} pixels; name a stage")
        stage = max(small, key=lambda name: (gan.shapes[name][0], gan.stages.index(name)))
    if stage not in fits:
        raise GanxError(f"the stage {stage!r} gives no maps of many filters; cut at one of: {', '.join(fits)}")
    return stage


def read_grouping(path: epath.PathLike, gan: Gan) -> Grouping | None:
    """Groups of a file `groups.npz`, of a folder that holds one, or of a run; None where a folder has none.

    Raises:
      GanxError: nothing there, damaged, or groups of another GAN.
    """
    place = epath.Path(path)
    if place.is_dir() and not (place / FILE).exists():
        found = run_grouping(place, gan)
    else:
        found = _of_file(place / FILE if place.is_dir() else place)
    if found is not None:
        filters = gan.shapes[target_stage(gan, found.stage)][-1]
        if found.labels.shape != (filters,) or found.labels.min(initial=0) < 0:
            raise GanxError(
                f"{path} has groups of {found.labels.size} units, and {found.stage} of this GAN has {filters}"
            )
    return found


def run_grouping(directory: epath.Path, gan: Gan) -> Grouping | None:
    """What the newest checkpoint of a run holds; None where it trains no groups, or has not found any yet."""
    if not (directory / "config.json").exists() or read_manifest(directory).kind != "run":
        return None
    config = json.loads((directory / "config.json").read_text())
    if config.get("method") != "igan":
        return None
    stage = target_stage(gan, config["igan"]["stage"])
    if config["igan"]["rectify"] and read_manifest(directory).generator.get("rectified") != stage:
        raise GanxError(
            f"{directory} was trained with a ReLU after {stage} and saved without it, by an earlier ganx; "
            f'write "rectified": "{stage}" into the generator of its ganx.json'
        )
    like = {
        "updates": jax.ShapeDtypeStruct((), jnp.int32),
        "partition": {"labels": jax.ShapeDtypeStruct((gan.shapes[stage][-1],), jnp.int32)},
    }
    found = load_tree(newest(directory), {"igan": like}, "state")["igan"]
    if int(found["updates"]) == 0:
        return None
    return Grouping(stage, np.asarray(found["partition"]["labels"]))


def _of_file(path: epath.Path) -> Grouping:
    arrays = read_npz(path, "groups", _MEND)
    if not {"stage", "labels"} <= set(arrays) or arrays["labels"].dtype.kind not in "iu":
        raise GanxError(f"{path} holds no groups; {_MEND}")
    check_current(arrays, path)
    return Grouping(str(arrays["stage"]), arrays["labels"].astype(np.int32))


def check_current(arrays: Mapping[str, Any], path: epath.PathLike) -> None:
    """Refuses groups of rectified features out of a time when the GAN beside them was saved without its ReLU."""
    if arrays.get("rectify", False):
        raise GanxError(f"{path} wants a ReLU that an earlier ganx did not save with the GAN; save both again")
