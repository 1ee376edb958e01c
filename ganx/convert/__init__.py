"""Public PyTorch checkpoints in, without PyTorch and without running anything that they name."""

from ganx.convert.checkpoint import Imported, import_checkpoint, summary_table
from ganx.convert.read import read_tensors

__all__ = ["Imported", "import_checkpoint", "read_tensors", "summary_table"]
