"""`world:gaussians`: mixtures of narrow Gaussians in the plane, for counting the modes that a model covers."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ganx.data.example import Example, SourceSpec
from ganx.data.worlds.base import Params, World, compiled
from ganx.errors import GanxError

RING, GRID = 8, 25


@dataclasses.dataclass(frozen=True)
class Gaussians(World):
    """Points of a mixture with equal weights. The label is the mode.

    With 8 modes: a ring of radius 2 and deviation 0.02, all divided by 1.414. With 25: a square grid of
    spacing 2 and deviation 0.05, all divided by 2.828.

    Attributes:
      modes: 8 or 25.
    """

    NAME: ClassVar[str] = "gaussians"

    modes: int = RING

    def __post_init__(self) -> None:
        super().__post_init__()
        self._settle_integer("modes")
        if self.modes not in (RING, GRID):
            raise GanxError(f"modes={self.modes} of world:gaussians is unknown; choose 8 (ring) or 25 (grid)")

    @property
    def spec(self) -> SourceSpec:
        """What is known without drawing a point; modes are labelled by their numbers."""
        return dataclasses.replace(super().spec, labels=tuple(map(str, range(self.modes))))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one point."""
        return (2,)

    @property
    def centres(self) -> np.ndarray:
        """Means of the modes, float32 `[modes, 2]`."""
        if self.modes == RING:
            turn = np.arange(RING) * (2 * np.pi / RING)
            return (2 * np.stack([np.cos(turn), np.sin(turn)], 1) / 1.414).astype(np.float32)
        steps = np.arange(-2, 3) * 2 / 2.828
        return np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)

    @property
    def deviation(self) -> float:
        """Standard deviation of each mode along each axis."""
        return 0.02 / 1.414 if self.modes == RING else 0.05 / 2.828

    @compiled
    def params(self, indices: jax.Array | np.ndarray) -> Params:
        """Mode and offset from its centre, `values["offset"]` float32 `[n, 2]`, of the points at `indices`."""
        u = self._uniforms(jnp.asarray(indices, jnp.int32), 3)
        mode = jnp.minimum((u[:, 0] * self.modes).astype(jnp.int32), self.modes - 1)
        # Uniform numbers are multiples of 2⁻²³: half a step keeps them away from 0.
        offset = self.deviation * jax.scipy.special.ndtri(u[:, 1:] + 2**-24)
        return Params({"mode": mode}, {"offset": offset}, jnp.asarray(indices, jnp.int32))

    @compiled
    def draw(self, params: Params) -> Example:
        """The points that `params` describe: `image` float32 `[n, 2]`, no mask."""
        mode = params.attrs["mode"]
        return Example(jnp.asarray(self.centres)[mode] + params.values["offset"], mode, {}, None, params.index)

    @compiled
    def read(self, points: jax.Array) -> dict[str, jax.Array]:
        """Nearest mode of each point, float `[n, 2]`: int32 `[n]` under "mode", and whether it lies within three
        deviations of it, bool `[n]` under "close"."""
        apart = jnp.linalg.norm(points[:, None] - self.centres[None], axis=-1)
        return {"mode": jnp.argmin(apart, 1).astype(jnp.int32), "close": apart.min(1) < 3 * self.deviation}
