"""Long training of inverses that survives an interruption."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import jax
from etils import epath

from ganx.store import absolute, load_tree, save_tree, writable_folder

_SECONDS = 120.0  # between two savings


@dataclasses.dataclass
class Keeper:
    """Saves a stage's state now and then as FOLDER/STAGE-STEP, and finds it again."""

    folder: epath.Path
    saved: float = dataclasses.field(default_factory=time.monotonic)

    @classmethod
    def at(cls, folder: epath.PathLike) -> Keeper:
        """In a folder, made if need be."""
        return cls(writable_folder(absolute(folder)))

    def newest(self, stage: str, state: Any) -> tuple[Any, int]:
        """The newest state of a stage and its step; the given state and 0 where there is none."""
        steps = self._steps(stage)
        if not steps:
            return state, 0
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)
        leaves, structure = jax.tree.flatten(like)
        found = load_tree(self.folder / f"{stage}-{steps[-1]}", {str(i): leaf for i, leaf in enumerate(leaves)})
        return jax.tree.unflatten(structure, [found[str(i)] for i in range(len(leaves))]), steps[-1]

    def keep(self, stage: str, state: Any, step: int, last: bool) -> None:
        """Saves if it is time, or the stage is done, and drops what was saved before."""
        if not last and time.monotonic() - self.saved < _SECONDS:
            return
        older = self._steps(stage)
        save_tree(self.folder / f"{stage}-{step}", {str(i): leaf for i, leaf in enumerate(jax.tree.leaves(state))})
        for old in older:
            (self.folder / f"{stage}-{old}").rmtree()
        self.saved = time.monotonic()

    def _steps(self, stage: str) -> list[int]:
        names = [path.name.rpartition("-") for path in self.folder.iterdir()]
        return sorted(int(step) for name, _, step in names if name == stage and step.isdigit())
