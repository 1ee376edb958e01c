"""`Directions`: what every method of finding them answers with, so that they compare row by row."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from ganx import codes
from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.sefa.layers import Layers
from ganx.sefa.weights import choose_layers, layer_stages


@dataclasses.dataclass(frozen=True)
class Directions:
    """Directions in the code or in z, the most important first.

    Attributes:
      layers: indices of the layers that an edit moves.
      stages: the stages that those layers drive.
      vectors: float32 `[k, d]`, of unit length.
      values: float32 `[k]`, decreasing: what the method orders by, such as SeFa's eigenvalues (squared reaction to a
        step of length one) or GANSpace's variances.
      space: "w" (styles), "z" (latents).
      method: "sefa", "interfacegan", "ganspace" or "random".
      rank: how many directions the method can tell apart.
      scales: float32 `[k]`, a natural step along each: 1, or GANSpace's deviation of the codes.
      names: a label for each direction; empty where there are none.
    """

    layers: tuple[int, ...]
    stages: tuple[str, ...]
    vectors: np.ndarray
    values: np.ndarray
    space: str = "z"
    method: str = "sefa"
    rank: int = 0
    scales: np.ndarray | None = None
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)

    def top(self, k: int) -> Directions:
        """The first `k`."""
        return self.pick(range(min(k, len(self))))

    def pick(self, indices: range | list[int] | np.ndarray) -> Directions:
        """Some of them, in the order given."""
        rows = np.asarray(indices, int)
        if rows.size and not (rows.min() >= 0 and rows.max() < len(self)):
            raise GanxError(f"direction {rows.max()} does not exist; there are {len(self)}, numbered from 0")
        return dataclasses.replace(
            self,
            vectors=self.vectors[rows],
            values=self.values[rows],
            scales=None if self.scales is None else self.scales[rows],
            names=tuple(self.names[i] for i in rows) if self.names else (),
        )

    def steps(self) -> np.ndarray:
        """The natural step along each direction, float32 `[k]`."""
        return np.ones(len(self), np.float32) if self.scales is None else self.scales

    def label(self, index: int) -> str:
        """The direction's name, or its number from 1."""
        return self.names[index] if self.names and self.names[index] else f"Direction {index + 1}"


def moved_layers(gan: Gan, layers: Layers) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The layers meant, and the stages that they drive."""
    stages = layer_stages(gan)
    chosen = choose_layers(stages, layers)
    return chosen, tuple(stages[i] for i in chosen)


def code_space(gan: Gan) -> str:
    """ "w" for style-based generators, else "z"."""
    return "w" if codes.style_based(gan) else "z"


def random_directions(gan: Gan, key: jax.Array, layers: Layers = "all", k: int = 10) -> Directions:
    """Orthonormal random directions in the code: the control that any method has to beat."""
    chosen, stages = moved_layers(gan, layers)
    d = codes.code_shape(gan)[-1]
    if k > d:
        raise GanxError(f"a code of {d} entries has no {k} orthogonal directions; ask for {d} at most")
    vectors = np.linalg.qr(np.asarray(jax.random.normal(key, (d, k))))[0].T.astype(np.float32)
    return Directions(chosen, stages, vectors, np.ones(k, np.float32), code_space(gan), "random", d)
