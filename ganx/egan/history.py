"""What a run of E-GAN wrote down: its metrics by step, its members, and who descends from whom."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import jax
import numpy as np
from etils import epath

from ganx.egan.population import TRAIL
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.models import init_generator, make_gan, module_from_fields
from ganx.store import find, load_tree, newest, read_manifest

DOMINANT, ENOUGH = 10.0, 500
"""How many times as far as quality the diversity term may spread among siblings, and from which generation on."""


@dataclasses.dataclass(frozen=True)
class History:
    """The record of one run.

    Attributes:
      steps: generations at which metrics were written, int `[T]`.
      values: float `[T]` by name of the metric; nan where one is missing.
      mutations: names, in the configuration's order.
      gamma: weight of the diversity.
      selection: by "fitness" or "random".
    """

    steps: np.ndarray
    values: dict[str, np.ndarray]
    mutations: tuple[str, ...]
    gamma: float
    selection: str

    def shares(self, windows: int = 40) -> tuple[np.ndarray, np.ndarray]:
        """Share of the survivors that each mutation made, by stretch of the run.

        Returns:
          The last generation of each stretch, int `[w]`, and shares `[w, H]` that sum to 1.
        """
        ends = np.unique(np.linspace(0, len(self.steps) - 1, min(windows, len(self.steps))).round().astype(int))
        wins = np.stack([self.values[f"wins/{name}"][ends] for name in self.mutations], 1)
        made = np.diff(wins, axis=0, prepend=0)
        return self.steps[ends], made / np.maximum(made.sum(1, keepdims=True), 1)


def history(run: epath.PathLike) -> History:
    """Reads `metrics.jsonl` and `config.json` of a run; of a step that was run twice the later record counts.

    Raises:
      GanxError: no run of E-GAN, or one without a record yet.
    """
    config, path = run_config(run), find(run) / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    records = {line["step"]: line for line in lines}
    if not records:
        raise GanxError(f"{run} has no metrics yet; let it run past config.log_every")
    steps = sorted(records)
    names = sorted({name for record in records.values() for name in record} - {"step"})
    values = {name: np.array([records[s].get(name, np.nan) for s in steps], float) for name in names}
    egan = config["egan"]
    return History(np.array(steps), values, tuple(egan["mutations"]), float(egan["gamma"]), egan["selection"])


def is_run(path: epath.PathLike) -> bool:
    """Whether that is a run of E-GAN which has a record to tell of."""
    folder = epath.Path(path)
    config = folder / "config.json"
    return bool(str(path)) and config.exists() and json.loads(config.read_text()).get("method") == "egan"


def run_config(run: epath.PathLike) -> dict[str, Any]:
    """The configuration that a run of E-GAN was started with."""
    path = find(run) / "config.json"
    config = json.loads(path.read_text()) if path.exists() else {}
    if config.get("method") != "egan":
        raise GanxError(f"{run} is no run of E-GAN; give the --workdir of a training with config.method=egan")
    return config


def member(run: epath.PathLike, k: int) -> Gan:
    """A member of a run's newest population, without averaging: 0 is the fittest, the islands' follow one another.

    Raises:
      GanxError: no run of E-GAN, no checkpoint yet, no such member.
    """
    egan, manifest = run_config(run)["egan"], read_manifest(find(run))
    islands, parents = egan["islands"], egan["parents"]
    if not 0 <= k < islands * parents:
        raise GanxError(f"there is no member {k}; {run} has members 0 to {islands * parents - 1}")
    module = module_from_fields(manifest.family, "generator", manifest.generator)
    one = jax.eval_shape(lambda key: init_generator(module, key), jax.random.key(0))
    lead = (islands, parents) if islands > 1 else (parents,)
    many = jax.tree.map(lambda s: jax.ShapeDtypeStruct((*lead, *s.shape), s.dtype), one)
    like = {"params": many["params"], "stats": {name: tree for name, tree in many.items() if name != "params"}}
    net = load_tree(newest(find(run)), {"members": like}, "state")["members"]
    at = divmod(k, parents) if islands > 1 else (k,)
    variables = jax.tree.map(lambda leaf: leaf[at], {"params": net["params"], **net["stats"]})
    return make_gan(manifest.family, module, variables, manifest.data)


def trail(run: epath.PathLike) -> np.ndarray:
    """The survivors of the last generations, oldest first: child indices int `[T, mu]`, `parent * H + mutation`.

    Of several islands the first one's.
    """
    egan, folder = run_config(run)["egan"], newest(find(run))
    lead = (egan["islands"],) if egan["islands"] > 1 else ()
    like = {
        "step": jax.ShapeDtypeStruct((), np.int32),
        "trail": jax.ShapeDtypeStruct((*lead, TRAIL, egan["parents"]), np.int32),
    }
    found = jax.tree.map(np.asarray, load_tree(folder, like, "state"))
    step, rows = int(found["step"]), found["trail"][0] if lead else found["trail"]
    generations = np.arange(max(0, step - TRAIL), step)
    return rows[generations % TRAIL]


def ancestors(rows: np.ndarray, mutations: int) -> np.ndarray:
    """How many members of each generation have descendants today: int `[T + 1]`, today last.

    Args:
      rows: from `trail`.
      mutations: children of one parent.
    """
    alive = np.arange(rows.shape[1]) if len(rows) else np.arange(1)
    counts = [len(alive)]
    for row in rows[::-1]:
        alive = np.unique(row[alive] // mutations)
        counts.append(len(alive))
    return np.array(counts[::-1])


def warning(record: History) -> str | None:
    """A sentence where the diversity term alone decided who survives, over some 500 generations or so; else None.

    A discriminator that tells everything apart has no gradient either, and then the diversity term rewards whoever is
    rejected most surely: selection runs the wrong way.
    """
    late = record.steps >= ENOUGH
    if not late.any() or record.selection != "fitness" or not record.gamma or len(record.mutations) < 2:
        return None
    quality, diversity = (record.values[f"spread_{name}"][late] for name in ("quality", "diversity"))
    ratio = np.nan_to_num(record.gamma * diversity / np.maximum(quality, 1e-12))
    if ratio.max() <= DOMINANT:
        return None
    worst = record.steps[late][ratio.argmax()]
    return (
        f"the diversity term dominates selection: among siblings it spread {ratio.max():.0f} times as far as quality "
        f"at generation {worst:,}; set --config.egan.gamma below {record.gamma:g}, or, where D has come to reject all "
        "children alike, start from another seed"
    )
