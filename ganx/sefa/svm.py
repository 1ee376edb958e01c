"""Linear classifiers, solved exactly on the host in float64: a support vector machine and logistic regression.

Problems here have many samples and at most a few hundred features, so each Newton step is one `[d, d]` system.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ganx.errors import GanxError

_GAP = 1e-9  # of the duality gap, a sample; the machine is then solved far beyond what its direction needs
_STEPS = 100


class Linear(NamedTuple):
    """A linear decision `x @ weights + intercept > 0`; weights float64 `[d]`."""

    weights: np.ndarray
    intercept: float


def support_vectors(x: np.ndarray, positive: np.ndarray, c: float = 1.0) -> Linear:
    """The soft-margin linear machine: minimises |w|²/2 + c Σ max(0, 1 - y (w·x + b)), the intercept b free.

    A primal-dual interior point method on the dual (Ferris & Munson 2002): the quadratic term has rank d, so the
    Sherman-Morrison-Woodbury formula leaves one `[d, d]` system a step.

    Args:
      x: `[n, d]`.
      positive: bool `[n]`, both values present.
      c: price of a violated margin.

    Raises:
      GanxError: one class only, or no solution found (values that are not finite).
    """
    x, y = _checked(x, positive)
    z = x * y[:, None]
    alpha = np.full(len(y), c / 2)
    low, high, b = np.ones(len(y)), np.ones(len(y)), 0.0  # multipliers of alpha >= 0 and alpha <= c; intercept
    for _ in range(_STEPS):
        w, room = z.T @ alpha, c - alpha
        gap = (alpha @ low + room @ high) / (2 * len(y))
        stationarity = 1 - z @ w - y * b + low - high
        balance = -(y @ alpha)
        if gap <= _GAP * c and np.abs(stationarity).max() <= 1e-8 and abs(balance) <= 1e-8 * c * len(y):
            return Linear(w, b)
        target = 0.1 * gap
        inverse = 1 / (low / alpha + high / room)
        small = np.eye(x.shape[1]) + z.T @ (z * inverse[:, None])
        right = stationarity + (target / alpha - low) - (target / room - high)
        solved = _woodbury(np.stack([right, y], 1), z, inverse, small)
        db = (y @ solved[:, 0] - balance) / (y @ solved[:, 1])
        step = solved[:, 0] - db * solved[:, 1]
        d_low = (target - low * step) / alpha - low
        d_high = (target + high * step) / room - high
        pairs = ((alpha, step), (room, -step), (low, d_low), (high, d_high))
        size = min(1.0, 0.99 * min(_reach(value, change) for value, change in pairs))
        alpha, b, low, high = alpha + size * step, b + size * db, low + size * d_low, high + size * d_high
    raise GanxError("the support vector machine found no solution; give finite codes, or use method='logistic'")


def logistic(x: np.ndarray, positive: np.ndarray, c: float = 1.0) -> Linear:
    """Logistic regression: minimises |w|²/2 + c Σ log(1 + exp(-y (w·x + b))), the intercept free; damped Newton.

    Arguments and errors as for `support_vectors`.
    """
    x, y = _checked(x, positive)
    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    penalty = np.r_[np.ones(x.shape[1] - 1), 0.0]
    w = np.zeros(x.shape[1])

    def loss(w: np.ndarray) -> float:
        return 0.5 * (penalty * w) @ w + c * np.logaddexp(0, -y * (x @ w)).sum()

    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(np.clip(y * (x @ w), -500, 500)))
        gradient = penalty * w - c * x.T @ (y * chance)
        curvature = c * x.T @ (x * (chance * (1 - chance))[:, None]) + np.diag(penalty + 1e-10)
        step = np.linalg.solve(curvature, gradient)
        if np.abs(gradient).max() <= 1e-10 * max(1.0, c * len(y)):
            return Linear(w[:-1], float(w[-1]))
        size, now = 1.0, loss(w) * (1 + 1e-12)  # rounding of the loss must not stop the last steps
        while loss(w - size * step) > now - 0.25 * size * (gradient @ step) and size > 1e-8:
            size /= 2
        w = w - size * step
    raise GanxError("logistic regression found no solution; give finite codes")


def _checked(x: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, positive = np.asarray(x, np.float64), np.asarray(positive, bool)
    if positive.all() or not positive.any():
        raise GanxError("a boundary needs samples on both sides; draw more samples or choose another attribute")
    if not np.isfinite(x).all():
        raise GanxError("the codes contain NaN or Inf; load a checkpoint from before the training broke down")
    return x, np.where(positive, 1.0, -1.0)


def _woodbury(right: np.ndarray, z: np.ndarray, inverse: np.ndarray, small: np.ndarray) -> np.ndarray:
    """(z zᵀ + diag(1/inverse))⁻¹ right, with `small` = I + zᵀ diag(inverse) z."""
    scaled = right * inverse[:, None]
    return scaled - inverse[:, None] * (z @ np.linalg.solve(small, z.T @ scaled))


def _reach(value: np.ndarray, change: np.ndarray) -> float:
    """How far positive values may go along a change until one is zero."""
    falling = change < 0
    return float((-value[falling] / change[falling]).min(initial=np.inf))
