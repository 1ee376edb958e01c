"""SeFa the way its published tool does it, restated: torch weights, a NumPy stack, LAPACK's general eigen-solver."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def factorise(weights: Sequence[torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Directions `[d, d]` as rows and eigenvalues `[d]`, unsorted, of style weights `[rows, d]` stacked together."""
    stack = np.concatenate([weight.detach().cpu().numpy().T for weight in weights], axis=1).astype(np.float32)
    stack = stack / np.linalg.norm(stack, axis=0, keepdims=True)
    values, columns = np.linalg.eig(stack.dot(stack.T))
    return columns.T, values
