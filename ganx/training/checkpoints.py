"""Checkpoints of a training run: asynchronous, whole or not at all, the newest few kept.

Each holds three items: `state` (to go on training), `generator` (the averaged one, as `ganx.load` wants it) and
`discriminator`. Since data are a function of the step, the step is also the data position.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from etils import epath
from orbax.checkpoint import v1 as ocp

from ganx.errors import GanxError, one_line
from ganx.store import CHECKPOINTS


class Checkpoints:
    """The checkpoints under a run's folder. Use as a context manager: leaving waits for the last write."""

    def __init__(self, workdir: epath.PathLike, keep: int):
        logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax narrates; what goes wrong is raised here
        self.directory = epath.Path(workdir) / CHECKPOINTS
        self._orbax = ocp.training.Checkpointer(
            str(self.directory),
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=True,
        )

    @property
    def latest(self) -> int | None:
        """Step of the newest complete checkpoint."""
        return None if self._orbax.latest is None else self._orbax.latest.step

    def save(self, step: int, state: Any, generator: Any, discriminator: Any) -> None:
        """Starts writing. The arrays are copied before this returns, so the state may be donated."""
        if step == self.latest:
            return
        items = {"state": state, "generator": generator, "discriminator": discriminator}
        with _saving(self.directory):
            self._orbax.save_checkpointables_async(step, items, force=True)

    def wait(self) -> None:
        """Returns when what was started is on disk, or raises what went wrong."""
        with _saving(self.directory):
            self._orbax.wait()

    def restore(self, like: Any) -> Any:
        """The newest state, with the shapes, dtypes and shardings of `like`."""
        step = self.latest
        try:
            return self._orbax.load_checkpointables(step, {"state": like})["state"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            others = [found.step for found in self._orbax.checkpoints if found.step != step]
            mend = f"delete {step} there to go on from step {max(others)}" if others else "start again elsewhere"
            raise GanxError(
                f"the checkpoint of step {step} in {self.directory} is damaged or of another configuration "
                f"({one_line(error)}); {mend}"
            ) from error

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            with _saving(self.directory):
                self._orbax.close()
        else:
            self._orbax.close()


@contextlib.contextmanager
def _saving(directory: epath.Path) -> Iterator[None]:
    """Turns what a full or failing disk raises into one line. The checkpoints before it are untouched."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise GanxError(
            f"could not save a checkpoint in {directory}: {one_line(error)}; "
            "free some space and run the same command to go on from the last one"
        ) from error
