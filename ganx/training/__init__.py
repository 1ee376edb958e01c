"""How anything is trained: losses, penalties, state, mesh, the loop and its checkpoints."""

from ganx.training.config import default_config, load_config
from ganx.training.method import Method

__all__ = ["Method", "default_config", "load_config"]
